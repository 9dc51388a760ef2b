#include "models/tokenizer/added_tokens.h"

#include <algorithm>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

// Bounds the time that a place in the text can take.
constexpr size_t kLongestSpelling = 1024;

}  // namespace

int32_t AddedTokens::SpellingTree::child(int32_t node, unsigned char byte) const {
  if (node == 0) return first_[byte];
  for (const auto& [label, target] : nodes_[static_cast<size_t>(node)].next) {
    if (label == byte) return target;
  }
  return -1;
}

bool AddedTokens::SpellingTree::insert(std::string_view spelling, int32_t index) {
  int32_t node = 0;
  for (const char c : spelling) {
    const auto byte = static_cast<unsigned char>(c);
    int32_t target = child(node, byte);
    if (target < 0) {
      target = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      if (node == 0) {
        first_[byte] = target;
      } else {
        nodes_[static_cast<size_t>(node)].next.emplace_back(byte, target);
      }
    }
    node = target;
  }
  Node& last = nodes_[static_cast<size_t>(node)];
  if (last.index >= 0) return false;
  last.index = index;
  return true;
}

AddedTokens::SpellingTree::Found AddedTokens::SpellingTree::longest(std::string_view text,
                                                                    size_t begin) const {
  Found found;
  int32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    node = child(node, static_cast<unsigned char>(text[at]));
    if (node < 0) break;
    const int32_t index = nodes_[static_cast<size_t>(node)].index;
    if (index >= 0) found = {index, at + 1};
  }
  return found;
}

AddedTokens::AddedTokens(const TokenizerSpec& spec, const Normalizer& normalizer)
    : tokens_(spec.added_tokens) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    const std::string spelling =
        token.normalized ? normalizer.apply(token.content).text : token.content;
    if (token.special) special_.insert(token.content);
    decoded_.emplace_back(token.id, spelling);
    if (spelling.empty()) continue;  // is never found
    const std::string name = "the added token '" + token.content.substr(0, 100) + "'";
    if (spelling.size() > kLongestSpelling) {
      throw Error(spec.source,
                  name + " is longer than " + std::to_string(kLongestSpelling) + " bytes");
    }
    SpellingTree& tree = token.normalized ? normalized_ : plain_;
    if (!tree.insert(spelling, static_cast<int32_t>(i))) {
      throw Error(spec.source, name + " is spelled like another one");
    }
  }
}

std::vector<Piece> AddedTokens::cut(const SpellingTree& tree, std::string_view text,
                                    bool parse_special) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t at = 0; !tree.empty() && at < text.size();) {
    const SpellingTree::Found found = tree.longest(text, at);
    if (found.index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(found.index)];
    size_t begin = at;
    size_t end = found.end;
    at = found.end;
    if (token.special && !parse_special) continue;
    if (token.single_word) {
      const bool touched_before = begin > 0 && is_word_character(character_before(text, begin));
      size_t after = end;
      const bool touched_behind =
          end < text.size() && is_word_character(next_character(text, after));
      if (touched_before || touched_behind) continue;
    }
    if (token.lstrip) {
      while (begin > done) {
        size_t before = begin - 1;
        while ((static_cast<unsigned char>(text[before]) & 0xC0) == 0x80) --before;
        size_t behind = before;
        if (!is_white_space(next_character(text, behind))) break;
        begin = before;
      }
    }
    if (token.rstrip) {
      for (size_t next = end; end < text.size(); end = next) {
        if (!is_white_space(next_character(text, next))) break;
      }
    }
    if (done < begin) pieces.push_back({done, begin, -1, done == 0});
    pieces.push_back({begin, end, token.id, false});
    done = end;
  }
  if (done < text.size()) pieces.push_back({done, text.size(), -1, done == 0});
  return pieces;
}

PieceList AddedTokens::extract(std::string_view text, const Normalizer& normalizer,
                               bool parse_special) const {
  PieceList list;
  for (const Piece& raw : cut(plain_, text, parse_special)) {
    if (raw.id >= 0) {
      list.pieces.push_back({list.text.size(), list.text.size(), raw.id, false});
      continue;
    }
    const NormalizedText normal = normalizer.apply(text.substr(raw.begin, raw.end - raw.begin));
    const size_t offset = list.text.size();
    list.text += normal.text;
    for (const Piece& piece : cut(normalized_, normal.text, parse_special)) {
      list.pieces.push_back({offset + piece.begin, offset + piece.end, piece.id,
                             raw.at_start && piece.at_start && normal.keeps_start});
    }
  }
  return list;
}

}  // namespace scant
