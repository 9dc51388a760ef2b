#include <fmt/format.h>

#include <map>

#include "core/error.h"
#include "models/chat/builtins.h"

namespace scant::chat {
namespace {

using Test = bool (*)(const Value&, const Arguments&, Budget&);

const Value& other(const Arguments& arguments) {
  if (arguments.positional.empty()) throw Error("", "a test needs a value to compare with");
  return arguments.positional[0];
}

int64_t remainder(const Value& value, int64_t divisor) {
  if (!value.is_int() && !value.is_bool()) {
    throw Error("", fmt::format("a test got {}; expected a whole number", value.kind()));
  }
  if (divisor == 0 || divisor == -1) throw Error("", "a test divides by 0 or -1");
  return value.integer() % divisor;
}

int64_t divisor(const Arguments& arguments) {
  const Value& value = other(arguments);
  if (!value.is_int()) throw Error("", "divisibleby needs a whole number");
  return value.integer();
}

bool equal(const Value& v, const Arguments& a, Budget& b) {
  b.spend(v.weight());
  return v == other(a);
}

const std::map<std::string, Test, std::less<>>& tests() {
  using A = Arguments;
  using B = Budget;
  static const std::map<std::string, Test, std::less<>> kTests = {
      {"defined", [](const Value& v, const A&, B&) { return !v.is_undefined(); }},
      {"undefined", [](const Value& v, const A&, B&) { return v.is_undefined(); }},
      {"none", [](const Value& v, const A&, B&) { return v.is_none(); }},
      {"string", [](const Value& v, const A&, B&) { return v.is_text(); }},
      {"mapping", [](const Value& v, const A&, B&) { return v.is_dict(); }},
      {"sequence",
       [](const Value& v, const A&, B&) { return v.is_text() || v.is_list() || v.is_dict(); }},
      {"iterable",
       [](const Value& v, const A&, B&) {
         return v.is_text() || v.is_list() || v.is_dict() || v.is_undefined();
       }},
      {"number", [](const Value& v, const A&, B&) { return v.is_number(); }},
      {"integer", [](const Value& v, const A&, B&) { return v.is_int(); }},
      {"float", [](const Value& v, const A&, B&) { return v.is_double(); }},
      {"boolean", [](const Value& v, const A&, B&) { return v.is_bool(); }},
      {"true", [](const Value& v, const A&, B&) { return v.is_bool() && v.boolean(); }},
      {"false", [](const Value& v, const A&, B&) { return v.is_bool() && !v.boolean(); }},
      {"callable",
       [](const Value& v, const A&, B&) { return v.holds<Builtin>() || v.holds<Macro>(); }},
      {"odd", [](const Value& v, const A&, B&) { return remainder(v, 2) != 0; }},
      {"even", [](const Value& v, const A&, B&) { return remainder(v, 2) == 0; }},
      {"divisibleby", [](const Value& v, const A& a, B&) { return remainder(v, divisor(a)) == 0; }},
      {"in", [](const Value& v, const A& a, B& b) { return contains(other(a), v, b); }},
      {"equalto", equal},
      {"eq", equal},
      {"ne", [](const Value& v, const A& a, B& b) { return !equal(v, a, b); }},
      {"lt", [](const Value& v, const A& a, B&) { return Value::less(v, other(a)); }},
      {"gt", [](const Value& v, const A& a, B&) { return Value::less(other(a), v); }},
      {"le", [](const Value& v, const A& a, B&) { return !Value::less(other(a), v); }},
      {"ge", [](const Value& v, const A& a, B&) { return !Value::less(v, other(a)); }},
      {"lower",
       [](const Value& v, const A&, B&) { return v.is_text() && lowered(v.text()) == v.text(); }},
      {"upper",
       [](const Value& v, const A&, B&) { return v.is_text() && raised(v.text()) == v.text(); }},
  };
  return kTests;
}

}  // namespace

bool apply_test(const std::string& name, const Value& subject, const Arguments& arguments,
                Budget& budget) {
  budget.spend(1);
  const auto found = tests().find(name);
  if (found == tests().end()) {
    throw Error("", fmt::format("the test {} is not supported", name.substr(0, 40)));
  }
  return found->second(subject, arguments, budget);
}

}  // namespace scant::chat
