#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>

#include "core/error.h"
#include "models/chat/builtins.h"
#include "models/tokenizer/utf8.h"

namespace scant::chat {
namespace {

using Method = Value (*)(const Value&, const Arguments&, Budget&);
using Methods = std::map<std::string, Method, std::less<>>;
using A = Arguments;
using B = Budget;

Value strip(const Value& self, const Arguments& arguments, bool left, bool right) {
  const Value* which = arguments.find(0, "chars");
  const bool given = which != nullptr && which->is_text();
  return stripped(self.text(), given ? &which->text() : nullptr, left, right);
}

bool begins_or_ends(const Value& self, const Arguments& arguments, bool begins) {
  const Value* part = arguments.find(0, "prefix");
  if (part == nullptr) throw Error("", "startswith and endswith need a text");
  const auto fits = [&](const Value& value) {
    if (!value.is_text()) throw Error("", "startswith and endswith need a text");
    return begins ? self.text().starts_with(value.text()) : self.text().ends_with(value.text());
  };
  return part->is_list() ? std::ranges::any_of(part->items(), fits) : fits(*part);
}

// Python's split(): runs of white space.
List words(const std::string& text, int64_t most) {
  List out;
  std::string rest = stripped(text, nullptr, true, false);
  while (!rest.empty()) {
    size_t end = 0;
    size_t next = 0;
    while (next < rest.size()) {
      end = next;
      if (is_white_space(next_character(rest, next))) break;
      end = next;
    }
    if (most >= 0 && static_cast<int64_t>(out.size()) == most) {
      out.emplace_back(rest);
      break;
    }
    out.emplace_back(rest.substr(0, end));
    rest = stripped(rest.substr(end), nullptr, true, false);
  }
  return out;
}

Value split(const Value& self, const Arguments& arguments, Budget& budget) {
  const std::string& text = self.text();
  budget.spend_text(text.size() * 4);
  const int64_t most = arguments.integer_or(1, "maxsplit", -1);
  const Value* at = arguments.find(0, "sep");
  if (at == nullptr || at->is_none()) {
    budget.spend(static_cast<int64_t>(text.size()) / 16 * static_cast<int64_t>(text.size()) / 256);
    return Value::list(words(text, most));
  }
  const std::string& between = arguments.text(0, "sep", "split");
  if (between.empty()) throw Error("", "split by an empty text");
  List parts;
  size_t done = 0;
  for (size_t found = text.find(between); found != std::string::npos;
       found = text.find(between, done)) {
    if (most >= 0 && static_cast<int64_t>(parts.size()) == most) break;
    parts.emplace_back(text.substr(done, found - done));
    done = found + between.size();
    budget.spend(1);
  }
  parts.emplace_back(text.substr(done));
  return Value::list(std::move(parts));
}

Value rsplit(const Value& self, const Arguments& arguments, Budget& budget) {
  const std::string& between = arguments.text(0, "sep", "rsplit");
  if (between.empty()) throw Error("", "rsplit by an empty text");
  budget.spend_text(self.text().size() * 4);
  const int64_t most = arguments.integer_or(1, "maxsplit", -1);
  List parts;
  std::string rest = self.text();
  while (most < 0 || static_cast<int64_t>(parts.size()) < most) {
    const size_t found = rest.rfind(between);
    if (found == std::string::npos) break;
    parts.emplace_back(rest.substr(found + between.size()));
    rest.erase(found);
    budget.spend_text(rest.size());
  }
  parts.emplace_back(rest);
  std::ranges::reverse(parts);
  return Value::list(std::move(parts));
}

// A letter behind a letter is small, others are large.
Value title(const Value& self, const Arguments&, Budget& budget) {
  budget.spend_text(self.text().size());
  std::string out;
  bool inside = false;
  for (const Value& character : iterated(self, budget)) {
    const std::string& c = character.text();
    out += inside ? lowered(c) : raised(c);
    inside = lowered(c) != raised(c);
  }
  return out;
}

Value capitalize(const Value& self, const Arguments&, Budget& budget) {
  budget.spend_text(self.text().size());
  const std::string& text = self.text();
  if (text.empty()) return self;
  size_t next = 0;
  next_character(text, next);
  return raised(text.substr(0, next)) + lowered(text.substr(next));
}

Value find(const Value& self, const Arguments& arguments, Budget& budget) {
  budget.spend_text(self.text().size() * 4);
  const size_t found = self.text().find(arguments.text(0, "sub", "find"));
  if (found == std::string::npos) return int64_t{-1};
  return Value(self.text().substr(0, found)).length();
}

Value count(const Value& self, const Arguments& arguments, Budget& budget) {
  const std::string& part = arguments.text(0, "sub", "count");
  if (part.empty()) return self.length() + 1;
  budget.spend_text(self.text().size() * 4);
  int64_t times = 0;
  for (size_t at = self.text().find(part); at != std::string::npos;
       at = self.text().find(part, at + part.size())) {
    ++times;
  }
  return times;
}

const Methods& text_methods() {
  static const Methods kMethods = {
      {"strip", [](const Value& v, const A& a, B&) { return strip(v, a, true, true); }},
      {"lstrip", [](const Value& v, const A& a, B&) { return strip(v, a, true, false); }},
      {"rstrip", [](const Value& v, const A& a, B&) { return strip(v, a, false, true); }},
      {"startswith",
       [](const Value& v, const A& a, B&) -> Value { return begins_or_ends(v, a, true); }},
      {"endswith",
       [](const Value& v, const A& a, B&) -> Value { return begins_or_ends(v, a, false); }},
      {"upper", [](const Value& v, const A&, B&) -> Value { return raised(v.text()); }},
      {"lower", [](const Value& v, const A&, B&) -> Value { return lowered(v.text()); }},
      {"join",
       [](const Value& v, const A& a, B& b) {
         return apply_filter("join", a.positional.empty() ? Value() : a.positional[0], {{v}, {}},
                             b);
       }},
      {"replace",
       [](const Value& v, const A& a, B& b) -> Value {
         return replaced(v.text(), a.text(0, "old", "replace"), a.text(1, "new", "replace"),
                         a.integer_or(2, "count", -1), b);
       }},
      {"split", split},
      {"rsplit", rsplit},
      {"title", title},
      {"capitalize", capitalize},
      {"find", find},
      {"count", count},
  };
  return kMethods;
}

const Methods& dict_methods() {
  static const Methods kMethods = {
      {"get",
       [](const Value& v, const A& a, B&) -> Value {
         const Value* found = v.find(a.text(0, "key", "get"));
         const Value* fallback = a.find(1, "default");
         return found != nullptr ? *found : fallback != nullptr ? *fallback : Value(None{});
       }},
      {"keys", [](const Value& v, const A&, B& b) { return Value::list(iterated(v, b)); }},
      {"values",
       [](const Value& v, const A&, B& b) {
         List items;
         for (const auto& [key, item] : v.entries()) items.push_back(item);
         b.spend(v.length());
         return Value::list(std::move(items));
       }},
      {"items",
       [](const Value& v, const A&, B& b) {
         List items;
         for (const auto& [key, item] : v.entries()) {
           items.push_back(Value::list({Value(key), item}, true));
         }
         b.spend(v.length());
         return Value::list(std::move(items));
       }},
  };
  return kMethods;
}

const Methods* methods_of(const Value& self) {
  return self.is_text() ? &text_methods() : self.is_dict() ? &dict_methods() : nullptr;
}

Value range(const Arguments& a, Budget& budget) {
  const bool one = a.positional.size() == 1;
  const int64_t begin = one ? 0 : a.integer_or(0, "start", 0);
  const int64_t end = one ? a.integer_or(0, "stop", 0) : a.integer_or(1, "stop", 0);
  const int64_t step = a.integer_or(2, "step", 1);
  if (step == 0) throw Error("", "range with a step of 0");
  constexpr int64_t kLimit = int64_t{1} << 40;
  for (const int64_t value : {begin, end, step}) {
    if (value > kLimit || value < -kLimit) throw Error("", "range with numbers that are too large");
  }
  List items;
  for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
    budget.spend(4);
    items.emplace_back(i);
  }
  return Value::list(std::move(items));
}

// The format of the date in templates of Llama 3 and others.
Value strftime_now(const Arguments& a) {
  const std::string& format = a.text(0, "format", "strftime_now");
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 256> out{};
  if (format.size() > 64 || format.find('\0') != std::string::npos) {
    throw Error("", "strftime_now got a strange format");
  }
  return std::string(out.data(), std::strftime(out.data(), out.size(), format.c_str(), &local));
}

}  // namespace

bool is_method(const Value& self, const std::string& name) {
  const Methods* methods = methods_of(self);
  return methods != nullptr && methods->contains(name);
}

Value call_method(const Value& self, const std::string& name, const Arguments& arguments,
                  Budget& budget) {
  budget.spend(1 + (self.is_text() ? static_cast<int64_t>(self.text().size()) / 16 : 0));
  const Methods* methods = methods_of(self);
  const auto found = methods->find(name);
  return found->second(self, arguments, budget);
}

bool is_function(const std::string& name) {
  static constexpr std::array<std::string_view, 5> kNames = {"raise_exception", "range",
                                                             "namespace", "dict", "strftime_now"};
  return std::ranges::find(kNames, name) != kNames.end();
}

Value call_function(const std::string& name, const Arguments& arguments, Budget& budget) {
  budget.spend(1);
  if (name == "raise_exception") {
    std::string message = arguments.text(0, "message", "raise_exception");
    std::ranges::replace(message, '\n', ' ');
    throw Error("", "the template says: " + message);
  }
  if (name == "range") return range(arguments, budget);
  if (name == "strftime_now") return strftime_now(arguments);
  if (!arguments.positional.empty()) {
    throw Error("", fmt::format("{} takes named arguments only", name));
  }
  Dict entries;
  for (const auto& [key, value] : arguments.named) {
    if (value.holds<Namespace>()) throw Error("", "a namespace in a namespace is not supported");
    set_entry(entries, key, value);
  }
  return name == "dict" ? Value::dict(std::move(entries))
                        : Value::make_namespace(std::move(entries));
}

}  // namespace scant::chat
