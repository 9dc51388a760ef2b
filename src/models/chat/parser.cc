#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "core/error.h"
#include "models/chat/expression_parser.h"
#include "models/chat/syntax.h"

namespace scant::chat {
namespace {

using StatementPtr = std::unique_ptr<Statement>;
using Kind = Statement::Kind;

class Parser {
 public:
  explicit Parser(std::string_view source) : read_(cut_template(source)) {}

  Body whole() {
    Body all = body({});
    if (read_.peek().kind != Token::Kind::kEnd) read_.fail("a tag closes nothing");
    return all;
  }

 private:
  StatementPtr make(Kind kind) const {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = read_.peek().line;
    return made;
  }

  /// Statements up to one of the tags `ends`, whose name is not taken yet, or to the end.
  Body body(std::initializer_list<std::string_view> ends) {
    const ExpressionParser::Level level(read_);
    Body all;
    while (read_.peek().kind != Token::Kind::kEnd) {
      if (read_.peek().kind == Token::Kind::kText) {
        all.push_back(make(Kind::kText));
        all.back()->text = read_.next().text;
      } else if (read_.peek().kind == Token::Kind::kPrintBegin) {
        all.push_back(make(Kind::kPrint));
        read_.next();
        all.back()->expression = read_.expression(true);
        read_.expect(Token::Kind::kPrintEnd, "}}");
      } else {
        const std::string& tag = read_.peek(1).text;
        if (std::ranges::find(ends, tag) != ends.end()) return all;
        read_.expect(Token::Kind::kTagBegin, "a tag");
        all.push_back(statement());
      }
    }
    if (ends.size() > 0) read_.fail(fmt::format("{{% {} %}} is missing", *(ends.end() - 1)));
    return all;
  }

  void tag_end() { read_.expect(Token::Kind::kTagEnd, "%}"); }
  /// {% name %}, which body() stopped at.
  void end_tag(std::string_view name) {
    read_.expect(Token::Kind::kTagBegin, "a tag");
    read_.expect(name);
    tag_end();
  }

  StatementPtr statement() {
    const std::string tag = read_.name("the name of a tag");
    if (tag == "if") return if_statement();
    if (tag == "for") return for_statement();
    if (tag == "set") return set_statement();
    if (tag == "macro") return macro();
    if (tag == "break" || tag == "continue") {
      if (loops_ == 0) read_.fail(fmt::format("{} is in no loop", tag));
      StatementPtr made = make(tag == "break" ? Kind::kBreak : Kind::kContinue);
      tag_end();
      return made;
    }
    if (tag == "generation") {  // transformers: marks what the assistant says, prints it as it is
      StatementPtr made = make(Kind::kGroup);
      tag_end();
      made->body = body({"endgeneration"});
      end_tag("endgeneration");
      return made;
    }
    read_.fail(fmt::format("the tag {} is not supported", tag.substr(0, 40)));
  }

  StatementPtr if_statement() {
    StatementPtr made = make(Kind::kIf);
    made->expression = read_.expression(true);
    tag_end();
    made->body = body({"elif", "else", "endif"});
    read_.expect(Token::Kind::kTagBegin, "a tag");
    if (read_.skip("elif")) {
      const ExpressionParser::Level level(read_);
      made->otherwise.push_back(if_statement());
      return made;
    }
    if (read_.skip("else")) {
      tag_end();
      made->otherwise = body({"endif"});
      end_tag("endif");
      return made;
    }
    read_.expect("endif");
    tag_end();
    return made;
  }

  StatementPtr for_statement() {
    StatementPtr made = make(Kind::kFor);
    const bool brackets = read_.skip("(");
    do {
      made->targets.push_back(read_.name("the name of a loop variable"));
    } while (read_.skip(","));
    if (brackets) read_.expect(")");
    read_.expect("in");
    made->expression = read_.expression(true, false);
    if (read_.skip("if")) made->condition = read_.expression();
    if (read_.is("recursive")) read_.fail("a recursive loop is not supported");
    tag_end();
    ++loops_;
    made->body = body({"else", "endfor"});
    --loops_;
    read_.expect(Token::Kind::kTagBegin, "a tag");
    if (read_.skip("else")) {
      tag_end();
      made->otherwise = body({"endfor"});
      end_tag("endfor");
      return made;
    }
    read_.expect("endfor");
    tag_end();
    return made;
  }

  StatementPtr set_statement() {
    StatementPtr made = make(Kind::kSet);
    made->targets.push_back(read_.name("a name to set"));
    if (read_.skip(".")) {
      made->kind = Kind::kSetField;
      made->text = read_.name("the name of a field");
    }
    while (made->kind == Kind::kSet && read_.skip(",")) {
      made->targets.push_back(read_.name("a name to set"));
    }
    if (read_.skip("=")) {
      made->expression = read_.expression(true);
      tag_end();
      return made;
    }
    if (made->kind != Kind::kSet || made->targets.size() != 1) read_.expect("=");
    if (read_.is("|")) read_.fail("a filtered set block is not supported");
    made->kind = Kind::kSetBlock;
    tag_end();
    made->body = body({"endset"});
    end_tag("endset");
    return made;
  }

  StatementPtr macro() {
    StatementPtr made = make(Kind::kMacro);
    made->macro.name = read_.name("the name of a macro");
    read_.expect("(");
    while (!read_.is(")")) {
      std::string parameter = read_.name("the name of a parameter");
      ExpressionPtr fallback = read_.skip("=") ? read_.expression() : nullptr;
      made->macro.parameters.emplace_back(std::move(parameter), std::move(fallback));
      if (read_.is(")")) break;
      read_.expect(",");
    }
    read_.expect(")");
    tag_end();
    const int loops = std::exchange(loops_, 0);
    made->macro.body = body({"endmacro"});
    loops_ = loops;
    read_.expect(Token::Kind::kTagBegin, "a tag");
    read_.expect("endmacro");
    if (read_.peek().kind == Token::Kind::kName) read_.next();  // {% endmacro name %}
    tag_end();
    return made;
  }

  ExpressionParser read_;
  int loops_ = 0;
};

}  // namespace

Body parse_template(std::string_view source) { return Parser(source).whole(); }

}  // namespace scant::chat
