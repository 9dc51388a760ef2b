#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "core/error.h"
#include "models/chat/builtins.h"

namespace scant::chat {
namespace {

using Filter = Value (*)(const Value&, const Arguments&, Budget&);

[[noreturn]] void refuse(const char* filter, const Value& subject, const char* expected) {
  throw Error("",
              fmt::format("the filter {} got {}; expected {}", filter, subject.kind(), expected));
}

std::string text_of(const Value& value, Budget& budget) {
  budget.spend(value.weight());
  return value.printed();
}

Value trim(const Value& subject, const Arguments& arguments, Budget& budget) {
  const Value* which = arguments.find(0, "chars");
  const bool given = which != nullptr && which->is_text();
  return stripped(text_of(subject, budget), given ? &which->text() : nullptr, true, true);
}

Value length(const Value& subject, const Arguments&, Budget&) {
  if (subject.is_undefined()) return int64_t{0};
  if (subject.length() < 0) refuse("length", subject, "a text, list or dictionary");
  return subject.length();
}

Value join(const Value& subject, const Arguments& arguments, Budget& budget) {
  const Value* between = arguments.find(0, "d");
  const Value* attribute = arguments.find(1, "attribute");
  std::string out;
  bool first = true;
  for (const Value& item : iterated(subject, budget)) {
    if (!first && between != nullptr) out += between->printed();
    first = false;
    const Value* part = attribute == nullptr ? &item : item.find(attribute->printed());
    if (part != nullptr) out += text_of(*part, budget);
    budget.spend_text(out.size() / 64);
  }
  return out;
}

Value tojson(const Value& subject, const Arguments& arguments, Budget& budget) {
  budget.spend(subject.weight());
  const int64_t indent = arguments.integer_or(1, "indent", -1);
  for (const auto& [key, value] : arguments.named) {
    const bool quiet = key == "indent" || (key == "ensure_ascii" && !value.truthy());
    if (!quiet) throw Error("", fmt::format("the filter tojson with {} is not supported", key));
  }
  if (indent > 16) throw Error("", "the filter tojson indents by more than 16");
  std::string out = subject.json(static_cast<int>(std::max<int64_t>(-1, indent)));
  budget.spend_text(out.size());
  return out;
}

Value first(const Value& subject, const Arguments&, Budget& budget) {
  const List items = iterated(subject, budget);
  return items.empty() ? Value(Undefined{"first"}) : items.front();
}

Value last(const Value& subject, const Arguments&, Budget& budget) {
  const List items = iterated(subject, budget);
  return items.empty() ? Value(Undefined{"last"}) : items.back();
}

Value fallback(const Value& subject, const Arguments& arguments, Budget&) {
  const bool missing =
      subject.is_undefined() || (arguments.flag_or(1, "boolean", false) && !subject.truthy());
  if (!missing) return subject;
  const Value* other = arguments.find(0, "default_value");
  return other == nullptr ? Value("") : *other;
}

Value replace(const Value& subject, const Arguments& arguments, Budget& budget) {
  return replaced(text_of(subject, budget), arguments.text(0, "old", "replace"),
                  arguments.text(1, "new", "replace"), arguments.integer_or(2, "count", -1),
                  budget);
}

Value as_int(const Value& subject, const Arguments& arguments, Budget&) {
  if (subject.is_double()) {
    const double whole = std::trunc(subject.number());
    if (std::abs(whole) < 9e18) return static_cast<int64_t>(whole);
  } else if (subject.is_number()) {
    return subject.integer();
  } else if (subject.is_text()) {
    const std::string text = stripped(subject.text(), nullptr, true, true);
    char* end = nullptr;
    errno = 0;
    const long long value = std::strtoll(text.c_str(), &end, 10);
    if (!text.empty() && *end == '\0' && errno == 0) return static_cast<int64_t>(value);
  }
  return arguments.integer_or(0, "default", 0);
}

Value as_float(const Value& subject, const Arguments&, Budget&) {
  if (subject.is_number()) return subject.number();
  if (!subject.is_text()) return 0.0;
  char* end = nullptr;
  const double value = std::strtod(subject.text().c_str(), &end);
  return *end == '\0' && end != subject.text().c_str() ? value : 0.0;
}

Value absolute(const Value& subject, const Arguments&, Budget&) {
  if (!subject.is_number()) refuse("abs", subject, "a number");
  if (subject.is_double()) return std::abs(subject.number());
  return subject.integer() == INT64_MIN ? INT64_MAX : std::abs(subject.integer());
}

Value entries(const Value& subject, const Arguments& arguments, Budget& budget) {
  if (subject.is_undefined()) return Value::list({});
  if (!subject.is_dict()) refuse("items", subject, "a dictionary");
  return call_method(subject, "items", arguments, budget);
}

Value dictsort(const Value& subject, const Arguments& arguments, Budget& budget) {
  if (!subject.is_dict()) refuse("dictsort", subject, "a dictionary");
  if (!arguments.positional.empty() || !arguments.named.empty()) {
    throw Error("", "the filter dictsort with arguments is not supported");
  }
  Dict sorted = subject.entries();
  std::ranges::stable_sort(sorted, {}, [](const auto& entry) { return lowered(entry.first); });
  return call_method(Value::dict(std::move(sorted)), "items", {}, budget);
}

Value reverse(const Value& subject, const Arguments&, Budget& budget) {
  List items = iterated(subject, budget);
  std::ranges::reverse(items);
  if (!subject.is_text()) return Value::list(std::move(items));
  std::string out;
  for (const Value& item : items) out += item.text();
  return out;
}

Value sort(const Value& subject, const Arguments& arguments, Budget& budget) {
  List items = iterated(subject, budget);
  budget.spend(subject.weight() * 8);
  const Value* attribute = arguments.find(2, "attribute");
  const bool exact = arguments.flag_or(1, "case_sensitive", false);
  const auto key = [&](const Value& item) -> Value {
    const Value* part = attribute == nullptr ? &item : item.find(attribute->printed());
    if (part == nullptr) return Undefined{};
    return part->is_text() && !exact ? Value(lowered(part->text())) : *part;
  };
  const bool down = arguments.flag_or(0, "reverse", false);
  std::ranges::stable_sort(items, [&](const Value& a, const Value& b) {
    return down ? Value::less(key(b), key(a)) : Value::less(key(a), key(b));
  });
  return Value::list(std::move(items));
}

Value unique(const Value& subject, const Arguments&, Budget& budget) {
  List kept;
  for (const Value& item : iterated(subject, budget)) {
    budget.spend(static_cast<int64_t>(kept.size()));
    if (std::ranges::find(kept, item) == kept.end()) kept.push_back(item);
  }
  return Value::list(std::move(kept));
}

/// Without its first argument, which names a filter, test or attribute.
Arguments rest_of(const Arguments& arguments, size_t count) {
  Arguments rest;
  const auto begin = arguments.positional.begin();
  rest.positional.assign(begin + static_cast<int64_t>(std::min(count, arguments.positional.size())),
                         arguments.positional.end());
  rest.named = arguments.named;
  return rest;
}

Value map(const Value& subject, const Arguments& arguments, Budget& budget) {
  List out;
  const Value* attribute = arguments.find(SIZE_MAX, "attribute");
  const Value* fallback_value = arguments.find(SIZE_MAX, "default");
  for (const Value& item : iterated(subject, budget)) {
    if (attribute == nullptr) {
      out.push_back(
          apply_filter(arguments.text(0, "filter", "map"), item, rest_of(arguments, 1), budget));
      continue;
    }
    const Value* part = item.find(attribute->printed());
    out.push_back(part != nullptr             ? *part
                  : fallback_value != nullptr ? *fallback_value
                                              : Value(Undefined{attribute->printed()}));
  }
  return Value::list(std::move(out));
}

Value chosen(const Value& subject, const Arguments& arguments, Budget& budget, bool by_attribute,
             bool wanted) {
  List out;
  const size_t skip = by_attribute ? 1 : 0;
  for (const Value& item : iterated(subject, budget)) {
    budget.spend(1);
    Value part = item;
    if (by_attribute) {
      const Value* found = item.find(arguments.text(0, "attribute", "selectattr"));
      part = found != nullptr ? *found : Value(Undefined{});
    }
    const bool holds = arguments.positional.size() <= skip
                           ? part.truthy()
                           : apply_test(arguments.text(skip, "test", "select"), part,
                                        rest_of(arguments, skip + 1), budget);
    if (holds == wanted) out.push_back(item);
  }
  return Value::list(std::move(out));
}

Value indent(const Value& subject, const Arguments& arguments, Budget& budget) {
  const std::string text = text_of(subject, budget);
  const Value* width = arguments.find(0, "width");
  const int64_t spaces =
      width != nullptr && width->is_text() ? 0 : arguments.integer_or(0, "width", 4);
  if (spaces < 0 || spaces > 1000) throw Error("", "the filter indent has a strange width");
  const std::string by = width != nullptr && width->is_text()
                             ? width->text()
                             : std::string(static_cast<size_t>(spaces), ' ');
  const bool first_too = arguments.flag_or(1, "first", false);
  const bool blank_too = arguments.flag_or(2, "blank", false);
  std::string out;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if ((begin > 0 || first_too) && (end > begin || (blank_too && begin < text.size()))) out += by;
    out.append(text, begin, end - begin);
    budget.spend_text(by.size() + end - begin);
    if (end < text.size()) out += '\n';
    begin = end + 1;
  }
  return out;
}

const std::map<std::string, Filter, std::less<>>& filters() {
  static const std::map<std::string, Filter, std::less<>> kFilters = {
      {"trim", trim},
      {"length", length},
      {"count", length},
      {"join", join},
      {"tojson", tojson},
      {"first", first},
      {"last", last},
      {"default", fallback},
      {"d", fallback},
      {"replace", replace},
      {"int", as_int},
      {"float", as_float},
      {"abs", absolute},
      {"items", entries},
      {"dictsort", dictsort},
      {"reverse", reverse},
      {"sort", sort},
      {"unique", unique},
      {"map", map},
      {"indent", indent},
      {"safe", [](const Value& v, const Arguments&, Budget&) { return v; }},
      {"string",
       [](const Value& v, const Arguments&, Budget& b) -> Value { return text_of(v, b); }},
      {"list",
       [](const Value& v, const Arguments&, Budget& b) { return Value::list(iterated(v, b)); }},
      {"lower",
       [](const Value& v, const Arguments&, Budget& b) -> Value { return lowered(text_of(v, b)); }},
      {"upper",
       [](const Value& v, const Arguments&, Budget& b) -> Value { return raised(text_of(v, b)); }},
      {"capitalize", [](const Value& v, const Arguments&,
                        Budget& b) { return call_method(text_of(v, b), "capitalize", {}, b); }},
      {"title", [](const Value& v, const Arguments&,
                   Budget& b) { return call_method(text_of(v, b), "title", {}, b); }},
      {"select",
       [](const Value& v, const Arguments& a, Budget& b) { return chosen(v, a, b, false, true); }},
      {"reject",
       [](const Value& v, const Arguments& a, Budget& b) { return chosen(v, a, b, false, false); }},
      {"selectattr",
       [](const Value& v, const Arguments& a, Budget& b) { return chosen(v, a, b, true, true); }},
      {"rejectattr",
       [](const Value& v, const Arguments& a, Budget& b) { return chosen(v, a, b, true, false); }},
  };
  return kFilters;
}

}  // namespace

Value apply_filter(const std::string& name, const Value& subject, const Arguments& arguments,
                   Budget& budget) {
  budget.spend(1);
  const auto found = filters().find(name);
  if (found == filters().end()) {
    throw Error("", fmt::format("the filter {} is not supported", name.substr(0, 40)));
  }
  return found->second(subject, arguments, budget);
}

}  // namespace scant::chat
