#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizer/pattern.h"
#include "models/tokenizer/spec.h"

namespace scant {

struct NormalizedText {
  std::string text;
  bool keeps_start = true;  ///< false if characters at the start were removed
};

/// The chain of normalizers, applied to each stretch of text between added tokens.
class Normalizer {
 public:
  explicit Normalizer(const TokenizerSpec& spec);
  bool empty() const { return steps_.empty(); }
  NormalizedText apply(std::string_view text) const;

 private:
  struct Step {
    NormalizerSpec spec;
    std::vector<Pattern> pattern;  ///< one for ReplaceStep, else none
  };
  std::vector<Step> steps_;
};

/// Unicode normalization form of valid UTF-8 (UAX #15).
std::string to_unicode_form(std::string_view text, UnicodeForm form);
/// Each character's full lower case, without regard to its neighbours.
std::string to_lower_case(std::string_view text);

}  // namespace scant
