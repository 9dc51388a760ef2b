#include "models/chat/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant::chat {
namespace {

using Kind = Expression::Kind;
constexpr int kDeepest = 600;

[[noreturn]] void no_operation(std::string_view op, const Value& a, const Value& b) {
  throw Error("", fmt::format("{} {} {} is not possible", a.kind(), op, b.kind()));
}

Value joined(const Value& a, const Value& b, Budget& budget) {
  std::string text = a.printed() + b.printed();
  budget.spend(a.weight() + b.weight());
  budget.spend_text(text.size());
  return text;
}

}  // namespace

Evaluator::Level::Level(Evaluator& evaluator) : evaluator_(evaluator) {
  if (++evaluator_.level_ > kDeepest) {
    --evaluator_.level_;
    throw Error("", "constructs nest too deep");
  }
}

Evaluator::Evaluator(Dict globals, CallMacro call_macro) : call_macro_(std::move(call_macro)) {
  frames_.push_back(std::move(globals));
}

std::vector<Dict> Evaluator::enter_macro() {
  std::vector<Dict> all = frames_;
  frames_.resize(1);
  budget_.spend(static_cast<int64_t>(all.size()) * 16);
  return all;
}

const Value* Evaluator::variable(const std::string& name) const {
  for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
    const auto found = std::ranges::find(*frame, name, &Dict::value_type::first);
    if (found != frame->end()) return &found->second;
  }
  return nullptr;
}

Value Evaluator::name(const std::string& name) const {
  if (const Value* value = variable(name)) return *value;
  if (is_function(name)) return Builtin{name, nullptr};
  return Undefined{name};
}

Value Evaluator::evaluate(const Expression& e) {
  const Level level(*this);
  line_ = e.line;
  budget_.spend(1);
  const auto part = [&](size_t i) { return evaluate(*e.items[i]); };
  switch (e.kind) {
    case Kind::kLiteral:
      return e.value;
    case Kind::kName:
      return name(e.text);
    case Kind::kList:
    case Kind::kTuple:
      return list(e);
    case Kind::kDict:
      return dict(e);
    case Kind::kAttribute:
      return attribute(part(0), e.text);
    case Kind::kItem: {
      const Value base = part(0);
      return item(base, part(1));
    }
    case Kind::kSlice:
      return slice(e);
    case Kind::kCall:
      return call(e);
    case Kind::kFilter: {
      const Value subject = part(0);
      return apply_filter(e.text, subject, arguments(e), budget_);
    }
    case Kind::kTest: {
      const Value subject = part(0);
      return apply_test(e.text, subject, arguments(e), budget_);
    }
    case Kind::kNot:
      return !part(0).truthy();
    case Kind::kNegative:
      return negative(part(0));
    case Kind::kPositive:
      return part(0);
    case Kind::kAnd: {
      Value first = part(0);
      return first.truthy() ? part(1) : first;
    }
    case Kind::kOr: {
      Value first = part(0);
      return first.truthy() ? first : part(1);
    }
    case Kind::kArithmetic:
      return arithmetic(e);
    case Kind::kCompare:
      return compare(e);
    case Kind::kConditional:
      if (part(1).truthy()) return part(0);
      return e.items[2] != nullptr ? part(2) : Value();
  }
  return {};
}

Value Evaluator::list(const Expression& e) {
  List items;
  for (const ExpressionPtr& item : e.items) items.push_back(evaluate(*item));
  return Value::list(std::move(items), e.kind == Kind::kTuple);
}

Value Evaluator::dict(const Expression& e) {
  Dict entries;
  for (size_t i = 0; i + 1 < e.items.size(); i += 2) {
    const Value key = evaluate(*e.items[i]);
    if (!key.is_text()) {
      throw Error("", fmt::format("{} as a key of a dictionary is not supported", key.kind()));
    }
    set_entry(entries, key.text(), evaluate(*e.items[i + 1]));
  }
  return Value::dict(std::move(entries));
}

Value Evaluator::attribute(const Value& base, const std::string& name) {
  if (base.is_undefined()) {
    const std::string& what = base.as<Undefined>().name;
    throw Error(
        "", fmt::format("{} is undefined and has no {}", what.empty() ? "a value" : what, name));
  }
  if (is_method(base, name)) return Builtin{name, std::make_shared<const Value>(base)};
  if (const Value* found = base.find(name)) return *found;
  return Undefined{name};
}

Value Evaluator::item(const Value& base, const Value& key) {
  if (key.is_text()) {
    if (base.is_undefined()) return attribute(base, key.text());  // says what is undefined
    if (const Value* found = base.find(key.text())) return *found;
    return base.is_dict() ? Value(Undefined{key.text()}) : attribute(base, key.text());
  }
  if (base.is_undefined()) throw Error("", "an undefined value has no items");
  if (!(base.is_list() || base.is_text()) || !(key.is_int() || key.is_bool())) return Undefined{};
  const int64_t size = base.length();
  if (base.is_text()) budget_.spend_text(base.text().size());
  const int64_t at = key.integer() < 0 ? key.integer() + size : key.integer();
  if (at < 0 || at >= size) return Undefined{};
  if (base.is_list()) return base.items()[static_cast<size_t>(at)];
  size_t begin = 0;
  for (int64_t i = 0; i < at; ++i) next_character(base.text(), begin);
  size_t end = begin;
  next_character(base.text(), end);
  return base.text().substr(begin, end - begin);
}

// Python's a[start:stop:step].
Value Evaluator::slice(const Expression& e) {
  const Value base = evaluate(*e.items[0]);
  if (!base.is_list() && !base.is_text()) {
    throw Error("", fmt::format("{} cannot be sliced", base.kind()));
  }
  const auto bound = [&](size_t i, int64_t fallback) {
    if (e.items[i] == nullptr) return fallback;
    const Value value = evaluate(*e.items[i]);
    if (value.is_none()) return fallback;
    if (!value.is_int()) throw Error("", fmt::format("{} as a bound of a slice", value.kind()));
    return value.integer();
  };
  const int64_t step = bound(3, 1);
  if (step == 0) throw Error("", "a slice with a step of 0");
  const List items = iterated(base, budget_);
  const auto size = static_cast<int64_t>(items.size());
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? size : size - 1;
  const auto placed = [&](size_t i, int64_t fallback) {
    if (e.items[i] == nullptr) return fallback;
    const int64_t value = bound(i, fallback == high ? high : low);
    return std::clamp(value < 0 && value != fallback ? value + size : value, low, high);
  };
  const int64_t begin = placed(1, step > 0 ? low : high);
  const int64_t end = placed(2, step > 0 ? high : low);
  List chosen;
  const int64_t stride = std::clamp<int64_t>(step, -size - 1, size + 1);
  for (int64_t i = begin; stride > 0 ? i < end : i > end; i += stride) {
    chosen.push_back(items[static_cast<size_t>(i)]);
  }
  if (!base.is_text()) return Value::list(std::move(chosen));
  std::string text;
  for (const Value& c : chosen) text += c.text();
  return text;
}

Arguments Evaluator::arguments(const Expression& e) {
  Arguments all;
  for (size_t i = 1; i < e.items.size(); ++i) all.positional.push_back(evaluate(*e.items[i]));
  for (const auto& [name, value] : e.named) set_entry(all.named, name, evaluate(*value));
  line_ = e.line;
  return all;
}

Value Evaluator::call(const Expression& e) {
  const Value callee = evaluate(*e.items[0]);
  Arguments given = arguments(e);
  if (callee.holds<Macro>()) return call_macro_(*callee.as<Macro>().syntax, std::move(given));
  if (callee.holds<Builtin>()) {
    const auto& builtin = callee.as<Builtin>();
    if (builtin.self == nullptr) return call_function(builtin.name, given, budget_);
    return call_method(*builtin.self, builtin.name, given, budget_);
  }
  if (callee.is_undefined()) {
    throw Error("", fmt::format("{} is not a function that is supported",
                                callee.as<Undefined>().name.substr(0, 40)));
  }
  throw Error("", fmt::format("{} cannot be called", callee.kind()));
}

Value Evaluator::whole_arithmetic(char op, int64_t a, int64_t b) const {
  int64_t result = 0;
  bool fits = true;
  if (op == '+') fits = !__builtin_add_overflow(a, b, &result);
  if (op == '-') fits = !__builtin_sub_overflow(a, b, &result);
  if (op == '*') fits = !__builtin_mul_overflow(a, b, &result);
  if (op == '%' || op == '/') {  // towards minus infinity, as in Python
    if (b == 0) throw Error("", "division by 0");
    if (b == -1) return op == '%' ? Value(int64_t{0}) : whole_arithmetic('-', 0, a);
    const int64_t remainder = a % b;
    const bool below = remainder != 0 && (remainder < 0) != (b < 0);
    result = op == '%' ? remainder + (below ? b : 0) : a / b - (below ? 1 : 0);
  }
  if (!fits) throw Error("", "a whole number is too large");
  return result;
}

Value Evaluator::real_arithmetic(const std::string& op, double a, double b) const {
  if (op == "+") return a + b;
  if (op == "-") return a - b;
  if (op == "*") return a * b;
  if (b == 0) throw Error("", "division by 0");
  if (op == "/") return a / b;
  if (op == "//") return std::floor(a / b);
  return a - b * std::floor(a / b);
}

Value Evaluator::arithmetic(const Expression& e) {
  const Value a = evaluate(*e.items[0]);
  const Value b = evaluate(*e.items[1]);
  line_ = e.line;
  const std::string& op = e.text;
  if (op == "~") return joined(a, b, budget_);
  if (a.is_number() && b.is_number()) {
    if (op == "**") {
      const double power = std::pow(a.number(), b.number());
      if (a.is_double() || b.is_double() || b.integer() < 0) return power;
      if (std::abs(power) >= 9007199254740992.0) throw Error("", "a whole number is too large");
      return static_cast<int64_t>(power);
    }
    if (a.is_double() || b.is_double() || op == "/") {
      return real_arithmetic(op, a.number(), b.number());
    }
    return whole_arithmetic(op[0], a.integer(), b.integer());
  }
  if (op == "+" && a.is_text() && b.is_text()) return joined(a, b, budget_);
  if (op == "+" && a.is_list() && b.is_list()) {
    budget_.spend(a.length() + b.length());
    List all = a.items();
    all.insert(all.end(), b.items().begin(), b.items().end());
    return Value::list(std::move(all));
  }
  if (op == "*" && a.is_text() && b.is_int()) {
    const int64_t times = std::max<int64_t>(0, b.integer());
    budget_.spend(times);
    budget_.spend_text(a.text().size() * static_cast<size_t>(times));
    std::string text;
    for (int64_t i = 0; i < times; ++i) text += a.text();
    return text;
  }
  no_operation(op, a, b);
}

Value Evaluator::negative(const Value& value) const {
  if (!value.is_number()) throw Error("", fmt::format("-{} is not possible", value.kind()));
  if (value.is_double()) return -value.number();
  return whole_arithmetic('-', 0, value.integer());
}

bool Evaluator::compare(const Expression& e) {
  Value left = evaluate(*e.items[0]);
  for (size_t i = 0; i < e.operators.size(); ++i) {
    Value right = evaluate(*e.items[i + 1]);
    const std::string& op = e.operators[i];
    budget_.spend(std::min(left.weight(), right.weight()));
    const bool holds = op == "=="       ? left == right
                       : op == "!="     ? !(left == right)
                       : op == "in"     ? contains(right, left, budget_)
                       : op == "not in" ? !contains(right, left, budget_)
                       : op == "<"      ? Value::less(left, right)
                       : op == ">"      ? Value::less(right, left)
                       : op == "<="     ? !Value::less(right, left)
                                        : !Value::less(left, right);
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

}  // namespace scant::chat
