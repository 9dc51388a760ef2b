#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace scant {

/// A target of compressed-tensors: the name of a module, "re:" and a regular expression that
/// matches at the name's start, or the class "Linear".
class ModuleTarget {
 public:
  /// Throws Error naming `where` if it is not a regular expression.
  ModuleTarget(std::string text, const std::string& where);
  bool is_class() const { return text_ == "Linear"; }
  /// Whether it names the module; not by its class. Throws Error if matching takes too long.
  bool names(std::string_view module) const;

 private:
  struct Code;
  std::string text_;
  std::shared_ptr<const Code> code_;  ///< null: no expression
};

}  // namespace scant
