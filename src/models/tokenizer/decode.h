#pragma once

#include <string>
#include <vector>

#include "models/tokenizer/pattern.h"
#include "models/tokenizer/spec.h"

namespace scant {

/// The chain of decoders: spellings of tokens to a text.
class Decoder {
 public:
  explicit Decoder(const TokenizerSpec& spec);
  std::string apply(std::vector<std::string> tokens) const;

 private:
  struct Step {
    DecoderSpec spec;
    std::vector<Pattern> pattern;  ///< one for ReplaceStep
  };
  std::vector<Step> steps_;
  bool any_ = false;
};

}  // namespace scant
