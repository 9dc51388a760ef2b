#pragma once

#include <cstdint>
#include <string>

#include "models/chat/value.h"

namespace scant::chat {

/// What a template may use up: it comes from a file that nobody checked.
class Budget {
 public:
  /// Throws Error once the sum exceeds what a template may need.
  void spend(int64_t work);
  /// The same for text of `bytes` bytes that is made.
  void spend_text(size_t bytes) { spend(1 + static_cast<int64_t>(bytes) / 16); }

 private:
  static constexpr int64_t kMost = 2'000'000;
  int64_t spent_ = 0;
};

/// The arguments of a call.
struct Arguments {
  List positional;
  Dict named;

  /// The argument at `index` or called `name`; null if it is not given.
  const Value* find(size_t index, std::string_view name) const;
  /// The same of a kind; throws Error naming `what` if it is missing or another kind.
  const std::string& text(size_t index, std::string_view name, std::string_view what) const;
  int64_t integer_or(size_t index, std::string_view name, int64_t fallback) const;
  bool flag_or(size_t index, std::string_view name, bool fallback) const;
};

// Each throws Error for a name that is not known, listing nothing, and for arguments of other
// kinds.

/// subject | name(arguments)
Value apply_filter(const std::string& name, const Value& subject, const Arguments& arguments,
                   Budget& budget);
/// subject is name(arguments)
bool apply_test(const std::string& name, const Value& subject, const Arguments& arguments,
                Budget& budget);
/// self.name(arguments)
Value call_method(const Value& self, const std::string& name, const Arguments& arguments,
                  Budget& budget);
/// name(arguments) of a function that is always there; `namespace`, `range`, `dict`, ...
Value call_function(const std::string& name, const Arguments& arguments, Budget& budget);
bool is_function(const std::string& name);
/// Whether values like `self` have a method of this name.
bool is_method(const Value& self, const std::string& name);

/// What a loop over it visits: items of a list, keys of a dictionary, characters of a text. Throws
/// Error for others.
List iterated(const Value& value, Budget& budget);
/// Whether `container` holds `item` (or is a text that has it as a part).
bool contains(const Value& container, const Value& item, Budget& budget);
/// Without the characters `which`, or white space if it is null, at its left and right end.
std::string stripped(const std::string& text, const std::string* which, bool left, bool right);
std::string lowered(const std::string& text);
std::string raised(const std::string& text);
std::string replaced(const std::string& text, const std::string& from, const std::string& to,
                     int64_t count, Budget& budget);

}  // namespace scant::chat
