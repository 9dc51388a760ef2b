#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace scant::chat {

/// A piece of a template: text, or what stands between {{ }} and {% %}.
struct Token {
  enum class Kind : uint8_t {
    kText,
    kPrintBegin,
    kPrintEnd,
    kTagBegin,
    kTagEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd
  };
  Kind kind = Kind::kEnd;
  std::string text;  ///< strings with escapes resolved
  int line = 1;
};

/// Cuts a template as Jinja2 does with trim_blocks and lstrip_blocks, which transformers sets:
/// white space before a tag on its line and one line break after it go; "-" takes all white space
/// on its side, "+" keeps it; a line break at the very end goes. Throws Error naming the line.
std::vector<Token> cut_template(std::string_view source);

}  // namespace scant::chat
