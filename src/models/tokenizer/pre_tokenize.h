#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/tokenizer/pattern.h"
#include "models/tokenizer/spec.h"

namespace scant {

/// A stretch of the working text, or an added token that was found (`id` >= 0).
struct Piece {
  size_t begin = 0;
  size_t end = 0;
  int32_t id = -1;
  bool at_start = false;  ///< begins where the input begins
};

/// A text on its way to words: normalizers and pre-tokenizers rewrite it and cut it further.
struct PieceList {
  std::string text;
  std::vector<Piece> pieces;

  std::string_view of(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

/// The chain of pre-tokenizers.
class PreTokenizer {
 public:
  explicit PreTokenizer(const TokenizerSpec& spec);
  void apply(PieceList& list) const;

 private:
  struct Step {
    PreTokenizerSpec spec;
    std::vector<Pattern> pattern;  ///< one for SplitStep and a ByteLevelStep with expression
  };
  std::vector<Step> steps_;
};

}  // namespace scant
