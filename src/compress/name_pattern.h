#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace scant {

/// A regular expression (PCRE2) that selects layers by name; it may match anywhere in the name.
/// Matching is bounded in time: a hostile expression is an Error, never a hang.
class NamePattern {
 public:
  /// Throws Error naming `option` and the position of the fault.
  NamePattern(std::string text, const std::string& option);
  bool matches(std::string_view name) const;
  const std::string& text() const { return text_; }

 private:
  struct Code;
  std::string text_;
  std::shared_ptr<const Code> code_;
};

}  // namespace scant
