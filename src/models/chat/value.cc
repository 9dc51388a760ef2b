#include "models/chat/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant::chat {
namespace {

int checked_depth(int depth) {
  if (depth > Value::kDeepest) throw Error("", "values nest too deep");
  return depth;
}

// repr(float): the shortest digits that give the value back, with a point.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string quoted(const std::string& text) {
  const bool double_quotes =
      text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out + quote;
}

void new_line(std::string& out, int indent, int level) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent * level), ' ');
}

}  // namespace

Value Value::list(List items, bool tuple) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  Value value;
  value.data_ =
      ListBox{std::make_shared<const List>(std::move(items)), tuple, checked_depth(depth + 1)};
  return value;
}

Value Value::dict(Dict items) {
  int depth = 0;
  for (const auto& [key, item] : items) depth = std::max(depth, item.depth());
  Value value;
  value.data_ = DictBox{std::make_shared<const Dict>(std::move(items)), checked_depth(depth + 1)};
  return value;
}

Value Value::make_namespace(Dict items) {
  Value value;
  value.data_ = Namespace{std::make_shared<Dict>(std::move(items))};
  return value;
}

Value Value::from_json(const nlohmann::ordered_json& json) {
  if (json.is_null()) return None{};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    List items;
    for (const auto& item : json) items.push_back(from_json(item));
    return list(std::move(items));
  }
  Dict items;
  for (const auto& [key, item] : json.items()) items.emplace_back(key, from_json(item));
  return dict(std::move(items));
}

// A namespace could hold itself: it is in no container.
int Value::depth() const {
  if (const auto* box = std::get_if<ListBox>(&data_)) return box->depth;
  if (const auto* box = std::get_if<DictBox>(&data_)) return box->depth;
  if (const auto* builtin = std::get_if<Builtin>(&data_)) {
    return builtin->self ? builtin->self->depth() + 1 : 0;
  }
  return holds<Namespace>() ? kDeepest : 0;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0;
  const int64_t size = length();
  return size != 0;
}

std::string_view Value::kind() const {
  if (is_undefined()) return "an undefined value";
  if (is_none()) return "None";
  if (is_bool()) return "a boolean";
  if (is_number()) return "a number";
  if (is_text()) return "a text";
  if (is_list()) return "a list";
  if (is_dict()) return "a dictionary";
  return holds<Namespace>() ? "a namespace" : "a function";
}

std::string Value::printed() const {
  if (is_undefined()) return "";
  return is_text() ? text() : spelled();
}

std::string Value::spelled() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "None";
  if (is_bool()) return boolean() ? "True" : "False";
  if (is_int()) return std::to_string(integer());
  if (is_double()) return float_text(number());
  if (is_text()) return quoted(text());
  std::string out;
  if (const auto* box = std::get_if<ListBox>(&data_)) {
    for (const Value& item : *box->items) out += (out.empty() ? "" : ", ") + item.spelled();
    if (box->tuple) return "(" + out + (box->items->size() == 1 ? ",)" : ")");
    return "[" + out + "]";
  }
  if (is_dict()) {
    for (const auto& [key, item] : entries()) {
      out += (out.empty() ? "" : ", ") + quoted(key) + ": " + item.spelled();
    }
    return "{" + out + "}";
  }
  return fmt::format("<{}>", kind());
}

void Value::dump(std::string& out, int indent, int level) const {
  if (is_none()) {
    out += "null";
  } else if (is_bool()) {
    out += boolean() ? "true" : "false";
  } else if (is_number()) {
    out += spelled();
  } else if (is_text()) {
    out += nlohmann::json(text()).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else if (is_list() || is_dict()) {
    const bool list = is_list();
    const size_t size = list ? items().size() : entries().size();
    out += list ? '[' : '{';
    for (size_t i = 0; i < size; ++i) {
      if (i > 0) out += indent < 0 ? ", " : ",";
      new_line(out, indent, level + 1);
      if (!list) {
        Value(entries()[i].first).dump(out, indent, level + 1);
        out += ": ";
      }
      (list ? items()[i] : entries()[i].second).dump(out, indent, level + 1);
    }
    if (size > 0) new_line(out, indent, level);
    out += list ? ']' : '}';
  } else {
    throw Error("", fmt::format("{} cannot become JSON", kind()));
  }
}

std::string Value::json(int indent) const {
  std::string out;
  dump(out, indent, 0);
  return out;
}

const Value* Value::find(std::string_view key) const {
  const Dict* dict = is_dict()            ? &entries()
                     : holds<Namespace>() ? as<Namespace>().values.get()
                                          : nullptr;
  if (dict == nullptr) return nullptr;
  for (const auto& [name, item] : *dict) {
    if (name == key) return &item;
  }
  return nullptr;
}

int64_t Value::length() const {
  if (is_text()) {
    return std::ranges::count_if(text(), [](char c) { return (c & 0xC0) != 0x80; });
  }
  if (is_list()) return static_cast<int64_t>(items().size());
  if (is_dict()) return static_cast<int64_t>(entries().size());
  return -1;
}

int64_t Value::weight() const {
  int64_t sum = 1;
  if (is_text()) return sum + static_cast<int64_t>(text().size()) / 16;
  if (is_list()) {
    for (const Value& item : items()) sum += item.weight();
  } else if (is_dict()) {
    for (const auto& [key, item] : entries()) sum += item.weight() + 1;
  }
  return sum;
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_double() || b.is_double() ? a.number() == b.number() : a.integer() == b.integer();
  }
  if (a.data_.index() != b.data_.index()) return false;
  if (a.is_text()) return a.text() == b.text();
  if (a.is_list()) return a.items() == b.items();
  if (a.is_dict()) {
    return a.entries().size() == b.entries().size() &&
           std::ranges::all_of(a.entries(), [&](const auto& entry) {
             const Value* other = b.find(entry.first);
             return other != nullptr && entry.second == *other;
           });
  }
  return a.is_none() || a.is_undefined();
}

bool Value::less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_double() || b.is_double() ? a.number() < b.number() : a.integer() < b.integer();
  }
  if (a.is_text() && b.is_text()) return a.text() < b.text();
  throw Error("", fmt::format("{} and {} have no order", a.kind(), b.kind()));
}

void set_entry(Dict& dict, const std::string& key, Value value) {
  const auto found = std::ranges::find(dict, key, &Dict::value_type::first);
  if (found != dict.end()) {
    found->second = std::move(value);
  } else {
    dict.emplace_back(key, std::move(value));
  }
}

}  // namespace scant::chat
