#include "models/chat/builtins.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant::chat {
namespace {

std::string mapped(const std::string& text, utf8proc_int32_t (*map)(utf8proc_int32_t)) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    append_character(out, static_cast<char32_t>(map(static_cast<utf8proc_int32_t>(c))));
  }
  return out;
}

}  // namespace

void Budget::spend(int64_t work) {
  spent_ += work;
  if (spent_ > kMost) throw Error("", "the template takes too long");
}

const Value* Arguments::find(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  const auto found = std::ranges::find(named, name, &Dict::value_type::first);
  return found == named.end() ? nullptr : &found->second;
}

const std::string& Arguments::text(size_t index, std::string_view name,
                                   std::string_view what) const {
  const Value* value = find(index, name);
  if (value == nullptr) throw Error("", fmt::format("{} needs a text", what));
  if (!value->is_text()) {
    throw Error("", fmt::format("{} got {}; expected a text", what, value->kind()));
  }
  return value->text();
}

int64_t Arguments::integer_or(size_t index, std::string_view name, int64_t fallback) const {
  const Value* value = find(index, name);
  if (value == nullptr || value->is_none()) return fallback;
  if (!value->is_int() && !value->is_bool()) {
    throw Error("",
                fmt::format("the argument {} is {}; expected a whole number", name, value->kind()));
  }
  return value->integer();
}

bool Arguments::flag_or(size_t index, std::string_view name, bool fallback) const {
  const Value* value = find(index, name);
  return value == nullptr ? fallback : value->truthy();
}

List iterated(const Value& value, Budget& budget) {
  if (value.is_list()) {
    budget.spend(value.length() / 8);
    return value.items();
  }
  List items;
  if (value.is_undefined()) return items;
  if (value.is_dict()) {
    for (const auto& [key, item] : value.entries()) items.emplace_back(key);
  } else if (value.is_text()) {
    const std::string& text = value.text();
    for (size_t at = 0; at < text.size();) {
      const size_t begin = at;
      next_character(text, at);
      items.emplace_back(text.substr(begin, at - begin));
    }
  } else {
    throw Error("", fmt::format("{} cannot be gone through", value.kind()));
  }
  budget.spend(static_cast<int64_t>(items.size()));
  return items;
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (container.is_text() && item.is_text()) {
    budget.spend_text(container.text().size() * 4);
    return container.text().find(item.text()) != std::string::npos;
  }
  if (container.is_list()) {
    budget.spend(container.weight());
    return std::ranges::find(container.items(), item) != container.items().end();
  }
  if (container.is_dict()) return item.is_text() && container.find(item.text()) != nullptr;
  throw Error("", fmt::format("{} cannot hold {}", container.kind(), item.kind()));
}

std::string stripped(const std::string& text, const std::string* which, bool left, bool right) {
  const auto goes = [&](char32_t c) {
    if (which == nullptr) return is_white_space(c) || (c >= 0x1c && c <= 0x1f);
    for (size_t at = 0; at < which->size();) {
      if (next_character(*which, at) == c) return true;
    }
    return false;
  };
  size_t begin = 0;
  size_t end = text.size();
  while (left && begin < end) {
    size_t next = begin;
    if (!goes(next_character(text, next))) break;
    begin = next;
  }
  while (right && end > begin && goes(character_before(text, end))) {
    do --end;
    while ((text[end] & 0xC0) == 0x80);
  }
  return text.substr(begin, end - begin);
}

std::string lowered(const std::string& text) { return mapped(text, utf8proc_tolower); }
std::string raised(const std::string& text) { return mapped(text, utf8proc_toupper); }

std::string replaced(const std::string& text, const std::string& from, const std::string& to,
                     int64_t count, Budget& budget) {
  budget.spend_text(text.size());
  std::string out;
  size_t done = 0;
  while (count != 0) {
    // An empty text is found before each character and at the end.
    size_t found = from.empty() ? done : text.find(from, done);
    if (found == std::string::npos || found > text.size()) break;
    budget.spend_text(to.size() + found - done);
    out.append(text, done, found - done);
    out += to;
    done = found + from.size();
    if (count > 0) --count;
    if (from.empty()) {
      if (done == text.size()) return out;
      const size_t begin = done;
      next_character(text, done);
      out.append(text, begin, done - begin);
    }
  }
  out.append(text, done);
  return out;
}

}  // namespace scant::chat
