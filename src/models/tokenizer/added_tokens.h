#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "models/tokenizer/normalize.h"
#include "models/tokenizer/pre_tokenize.h"
#include "models/tokenizer/spec.h"

namespace scant {

/// The tokens that are cut out of a text before anything else happens to it: first those spelled in
/// the text as it is, then those spelled in the normalized text; in each the leftmost and there the
/// longest.
class AddedTokens {
 public:
  /// Throws Error if two tokens are spelled alike or one is unreasonably long.
  AddedTokens(const TokenizerSpec& spec, const Normalizer& normalizer);

  /// `text` (valid UTF-8) as normalized stretches and added tokens. Special tokens count as plain
  /// text unless `parse_special` is set; the characters of one are not searched again for others.
  PieceList extract(std::string_view text, const Normalizer& normalizer, bool parse_special) const;

  bool is_special(const std::string& content) const { return special_.contains(content); }
  /// How a decoder sees each added token: by id, in its normalized spelling.
  const std::vector<std::pair<int32_t, std::string>>& decoded() const { return decoded_; }

 private:
  /// A tree over the bytes of spellings; node 0 is the root.
  class SpellingTree {
   public:
    SpellingTree() : nodes_(1) { first_.fill(-1); }
    /// False if this spelling is there already.
    bool insert(std::string_view spelling, int32_t index);
    bool empty() const { return nodes_.size() == 1; }
    struct Found {
      int32_t index = -1;
      size_t end = 0;
    };
    /// The longest spelling at `begin`.
    Found longest(std::string_view text, size_t begin) const;

   private:
    struct Node {
      int32_t index = -1;
      std::vector<std::pair<unsigned char, int32_t>> next;
    };
    int32_t child(int32_t node, unsigned char byte) const;
    std::vector<Node> nodes_;
    std::array<int32_t, 256> first_{};
  };

  std::vector<Piece> cut(const SpellingTree& tree, std::string_view text, bool parse_special) const;

  std::vector<AddedToken> tokens_;
  std::unordered_set<std::string> special_;
  std::vector<std::pair<int32_t, std::string>> decoded_;
  SpellingTree plain_;
  SpellingTree normalized_;
};

}  // namespace scant
