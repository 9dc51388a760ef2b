#include "checkpoint/imports/module_targets.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {
constexpr std::string_view kExpression = "re:";
constexpr size_t kLongest = 4096;
}  // namespace

struct ModuleTarget::Code {
  pcre2_code* code;
  explicit Code(pcre2_code* c) : code(c) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

ModuleTarget::ModuleTarget(std::string text, const std::string& where) : text_(std::move(text)) {
  if (!text_.starts_with(kExpression)) return;
  const std::string_view expression = std::string_view(text_).substr(kExpression.size());
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      expression.size() > kLongest
          ? nullptr
          : pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                          PCRE2_ANCHORED | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code == nullptr) throw Error(where, quoted_name(text_) + " is not a regular expression");
  code_ = std::make_shared<const Code>(code);
}

bool ModuleTarget::names(std::string_view module) const {
  if (code_ == nullptr) return text_ == module;
  constexpr uint32_t kMatchLimit = 100'000;
  pcre2_match_data* data = pcre2_match_data_create_from_pattern(code_->code, nullptr);
  pcre2_match_context* limits = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(limits, kMatchLimit);
  const int result = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(module.data()),
                                 module.size(), 0, 0, data, limits);
  pcre2_match_context_free(limits);
  pcre2_match_data_free(data);
  if (result < 0 && result != PCRE2_ERROR_NOMATCH) {
    throw Error("quantization_config", "the target " + quoted_name(text_) +
                                           " takes too long to match; expected a simpler one");
  }
  return result >= 0;
}

}  // namespace scant
