#define PCRE2_CODE_UNIT_WIDTH 8
#include "compress/name_pattern.h"

#include <pcre2.h>

#include <array>
#include <utility>

#include "core/error.h"

namespace scant {

struct NamePattern::Code {
  pcre2_code* code;
  explicit Code(pcre2_code* c) : code(c) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

NamePattern::NamePattern(std::string text, const std::string& option) : text_(std::move(text)) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(), 0,
                                   &error, &offset, nullptr);
  if (code == nullptr) {
    std::array<PCRE2_UCHAR, 160> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    throw Error(option, "\"" + text_ + "\" is not a regular expression (" +
                            reinterpret_cast<const char*>(message.data()) + " at character " +
                            std::to_string(offset) + ")");
  }
  code_ = std::make_shared<const Code>(code);
}

bool NamePattern::matches(std::string_view name) const {
  pcre2_match_data* data = pcre2_match_data_create_from_pattern(code_->code, nullptr);
  pcre2_match_context* limits = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(limits, 100'000);
  const int result = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(name.data()),
                                 name.size(), 0, 0, data, limits);
  pcre2_match_context_free(limits);
  pcre2_match_data_free(data);
  if (result == PCRE2_ERROR_NOMATCH) return false;
  if (result < 0) {
    throw Error("pattern", "\"" + text_ + "\" takes too long to match; expected a simpler one");
  }
  return true;
}

}  // namespace scant
