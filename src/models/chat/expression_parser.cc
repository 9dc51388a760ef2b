#include "models/chat/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace scant::chat {
namespace {

using Kind = Expression::Kind;
constexpr int kDeepest = 60;
constexpr int kLongest = 500;  ///< parts of an expression: bounds the depth of its tree

}  // namespace

ExpressionParser::Level::Level(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.level_ > kDeepest) {
    --parser_.level_;
    parser_.fail("constructs nest too deep");
  }
}

const Token& ExpressionParser::peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

Token ExpressionParser::next() {
  Token token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

void ExpressionParser::fail(const std::string& problem) const {
  throw Error(fmt::format("line {}", peek().line), problem);
}

bool ExpressionParser::is(std::string_view text) const {
  const Token& token = peek();
  return (token.kind == Token::Kind::kOperator || token.kind == Token::Kind::kName) &&
         token.text == text;
}

bool ExpressionParser::skip(std::string_view text) {
  if (!is(text)) return false;
  next();
  return true;
}

void ExpressionParser::expect(std::string_view text) {
  if (!skip(text)) fail(fmt::format("expected '{}' before '{}'", text, peek().text.substr(0, 40)));
}

void ExpressionParser::expect(Token::Kind kind, std::string_view what) {
  if (peek().kind != kind)
    fail(fmt::format("expected {} before '{}'", what, peek().text.substr(0, 40)));
  next();
}

std::string ExpressionParser::name(std::string_view what) {
  if (peek().kind != Token::Kind::kName) fail(fmt::format("expected {}", what));
  return next().text;
}

ExpressionPtr ExpressionParser::make(Kind kind, std::string text) {
  if (++parts_ > kLongest) fail("an expression is too long");
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = peek().line;
  made->text = std::move(text);
  return made;
}

ExpressionPtr ExpressionParser::expression(bool tuple, bool conditional) {
  const Level level(*this);
  if (expressions_ == 0) parts_ = 0;
  ++expressions_;
  ExpressionPtr first = one(conditional);
  --expressions_;
  if (!tuple || !is(",")) return first;
  ExpressionPtr all = make(Kind::kTuple);
  all->items.push_back(std::move(first));
  while (skip(",")) {
    if (peek().kind == Token::Kind::kTagEnd || peek().kind == Token::Kind::kPrintEnd || is(")")) {
      break;
    }
    all->items.push_back(one(conditional));
  }
  return all;
}

ExpressionPtr ExpressionParser::one(bool conditional) {
  ExpressionPtr value = either();
  while (conditional && is("if")) {
    ExpressionPtr made = make(Kind::kConditional);
    next();
    made->items.push_back(std::move(value));
    made->items.push_back(either());
    made->items.push_back(skip("else") ? expression() : nullptr);
    value = std::move(made);
  }
  return value;
}

// a op b op c ..., from the left
ExpressionPtr ExpressionParser::chain(std::initializer_list<std::string_view> operators,
                                      Part part) {
  ExpressionPtr left = (this->*part)();
  while (std::ranges::any_of(operators, [&](std::string_view op) { return is(op); })) {
    const std::string op = peek().text;
    ExpressionPtr made = make(op == "or"    ? Kind::kOr
                              : op == "and" ? Kind::kAnd
                                            : Kind::kArithmetic,
                              op);
    next();
    made->items.push_back(std::move(left));
    made->items.push_back((this->*part)());
    left = std::move(made);
  }
  return left;
}

ExpressionPtr ExpressionParser::either() { return chain({"or"}, &ExpressionParser::both); }
ExpressionPtr ExpressionParser::both() { return chain({"and"}, &ExpressionParser::negation); }

ExpressionPtr ExpressionParser::negation() {
  if (!is("not")) return comparison();
  const Level level(*this);
  ExpressionPtr made = make(Kind::kNot);
  next();
  made->items.push_back(negation());
  return made;
}

ExpressionPtr ExpressionParser::comparison() {
  ExpressionPtr first = sum();
  ExpressionPtr made;
  while (true) {
    std::string op;
    for (const std::string_view known : {"==", "!=", "<", "<=", ">", ">=", "in"}) {
      if (is(known)) op = known;
    }
    if (op.empty() && is("not") && peek(1).kind == Token::Kind::kName && peek(1).text == "in") {
      op = "not in";
      next();
    }
    if (op.empty()) return made ? std::move(made) : std::move(first);
    if (!made) {
      made = make(Kind::kCompare);
      made->items.push_back(std::move(first));
    }
    next();
    made->operators.push_back(op);
    made->items.push_back(sum());
  }
}

ExpressionPtr ExpressionParser::sum() { return chain({"+", "-"}, &ExpressionParser::joined); }
ExpressionPtr ExpressionParser::joined() { return chain({"~"}, &ExpressionParser::product); }
ExpressionPtr ExpressionParser::product() {
  return chain({"*", "/", "//", "%"}, &ExpressionParser::power);
}
ExpressionPtr ExpressionParser::power() { return chain({"**"}, &ExpressionParser::signed_value); }

ExpressionPtr ExpressionParser::signed_value() { return filtered(signed_only()); }

// A filter behind a signed value takes the sign along: -1|abs is 1.
ExpressionPtr ExpressionParser::signed_only() {
  if (!is("-") && !is("+")) return postfix(primary());
  const Level level(*this);
  ExpressionPtr made = make(is("-") ? Kind::kNegative : Kind::kPositive);
  next();
  made->items.push_back(signed_only());
  return made;
}

ExpressionPtr ExpressionParser::literal_name(const std::string& name) {
  ExpressionPtr made = make(Kind::kLiteral);
  if (name == "true" || name == "True") {
    made->value = true;
  } else if (name == "false" || name == "False") {
    made->value = false;
  } else if (name == "none" || name == "None") {
    made->value = None{};
  } else {
    made->kind = Kind::kName;
    made->text = name;
  }
  return made;
}

ExpressionPtr ExpressionParser::primary() {
  const Token token = peek();
  ExpressionPtr made = make(Kind::kLiteral);
  if (token.kind == Token::Kind::kName) {
    next();
    return literal_name(token.text);
  }
  if (token.kind == Token::Kind::kString) {
    std::string text;
    while (peek().kind == Token::Kind::kString) text += next().text;
    made->value = text;
    return made;
  }
  if (token.kind == Token::Kind::kInteger) {
    int64_t value = 0;
    const char* end = token.text.data() + token.text.size();
    if (std::from_chars(token.text.data(), end, value).ptr != end) {
      fail(fmt::format("{} is too large", token.text.substr(0, 40)));
    }
    made->value = value;
    next();
    return made;
  }
  if (token.kind == Token::Kind::kFloat) {
    made->value = std::strtod(token.text.c_str(), nullptr);
    next();
    return made;
  }
  if (is("(") || is("[")) return bracketed();
  if (is("{")) return dict();
  fail(token.text.empty() ? "an expression is missing"
                          : fmt::format("'{}' begins no expression", token.text.substr(0, 40)));
}

ExpressionPtr ExpressionParser::bracketed() {
  const bool list = is("[");
  const std::string_view end = list ? "]" : ")";
  ExpressionPtr made = make(list ? Kind::kList : Kind::kTuple);
  next();
  bool comma = false;
  while (!is(end)) {
    made->items.push_back(expression());
    if (is(end)) break;
    expect(",");
    comma = true;
  }
  expect(end);
  if (!list && made->items.size() == 1 && !comma) return std::move(made->items[0]);
  return made;
}

ExpressionPtr ExpressionParser::dict() {
  ExpressionPtr made = make(Kind::kDict);
  next();
  while (!is("}")) {
    made->items.push_back(expression());
    expect(":");
    made->items.push_back(expression());
    if (is("}")) break;
    expect(",");
  }
  expect("}");
  return made;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr base) {
  while (true) {
    if (is(".")) {
      next();
      ExpressionPtr made = make(Kind::kAttribute);
      if (peek().kind == Token::Kind::kInteger)
        fail("an attribute that is a number is not supported");
      made->text = name("the name of an attribute");
      made->items.push_back(std::move(base));
      base = std::move(made);
    } else if (is("[")) {
      base = subscript(std::move(base));
    } else if (is("(")) {
      ExpressionPtr made = make(Kind::kCall);
      made->items.push_back(std::move(base));
      arguments(*made);
      base = std::move(made);
    } else {
      return base;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr base) {
  ExpressionPtr made = make(Kind::kItem);
  next();
  made->items.push_back(std::move(base));
  const auto part = [&]() -> ExpressionPtr { return is(":") || is("]") ? nullptr : expression(); };
  made->items.push_back(part());
  if (is("]") && made->items[1] != nullptr) {
    next();
    return made;
  }
  made->kind = Kind::kSlice;
  for (int i = 2; i <= 3; ++i) made->items.push_back(skip(":") ? part() : nullptr);
  expect("]");
  return made;
}

ExpressionPtr ExpressionParser::filtered(ExpressionPtr base) {
  while (true) {
    if (is("|")) {
      next();
      ExpressionPtr made = make(Kind::kFilter);
      made->text = name("the name of a filter");
      made->items.push_back(std::move(base));
      if (is("(")) arguments(*made);
      base = std::move(made);
    } else if (is("is")) {
      next();
      base = test(std::move(base));
    } else if (is("(") || is("[") || is(".")) {
      base = postfix(std::move(base));  // what a filter gives: (x | trim)[0] needs no brackets
    } else {
      return base;
    }
  }
}

ExpressionPtr ExpressionParser::test(ExpressionPtr base) {
  ExpressionPtr made;
  const bool negated = skip("not");
  made = make(Kind::kTest);
  made->text = name("the name of a test");
  made->items.push_back(std::move(base));
  const Token& token = peek();
  const bool operand = token.kind == Token::Kind::kString || token.kind == Token::Kind::kInteger ||
                       token.kind == Token::Kind::kFloat || is("[") || is("{") ||
                       (token.kind == Token::Kind::kName && !is("else") && !is("or") &&
                        !is("and") && !is("is") && !is("if") && !is("in") && !is("not"));
  if (is("(")) {
    arguments(*made);
  } else if (operand) {
    made->items.push_back(postfix(primary()));
  }
  if (!negated) return made;
  ExpressionPtr inverse = make(Kind::kNot);
  inverse->items.push_back(std::move(made));
  return inverse;
}

void ExpressionParser::arguments(Expression& call) {
  expect("(");
  while (!is(")")) {
    if (is("*") || is("**")) fail("arguments with * are not supported");
    if (peek().kind == Token::Kind::kName && peek(1).kind == Token::Kind::kOperator &&
        peek(1).text == "=") {
      std::string key = next().text;
      next();
      call.named.emplace_back(std::move(key), expression());
    } else {
      if (!call.named.empty()) fail("an argument without a name comes after one with a name");
      call.items.push_back(expression());
    }
    if (is(")")) break;
    expect(",");
  }
  expect(")");
}

}  // namespace scant::chat
