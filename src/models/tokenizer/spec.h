#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace scant {

// What a tokenizer consists of, apart from the file it came from: the parts of a tokenizer.json of
// the `tokenizers` library, with nested sequences made flat. Texts are valid UTF-8.

/// A pattern to search for: literal text, or a regular expression in Oniguruma's Ruby syntax.
struct PatternSpec {
  std::string text;
  bool is_regex = false;
};

// Normalizers.
enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };
struct LowercaseStep {};
struct PrependStep {
  std::string text;
};
struct ReplaceStep {
  PatternSpec pattern;
  std::string content;
};
using NormalizerSpec = std::variant<UnicodeForm, LowercaseStep, PrependStep, ReplaceStep>;

// Pre-tokenizers.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
enum class PrependScheme { kAlways, kFirst, kNever };
struct ByteLevelStep {
  bool add_prefix_space = false;
  bool use_regex = true;  ///< split by GPT-2's expression first
};
struct SplitStep {
  PatternSpec pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
};
struct DigitsStep {
  bool individual = false;
};
struct MetaspaceStep {
  std::string replacement;  ///< one character
  PrependScheme scheme = PrependScheme::kAlways;
  bool split = true;
};
using PreTokenizerSpec = std::variant<ByteLevelStep, SplitStep, DigitsStep, MetaspaceStep>;

// Decoders.
struct ByteLevelDecoder {};
struct MetaspaceDecoder {
  std::string replacement;
  PrependScheme scheme = PrependScheme::kAlways;
};
struct ByteFallbackDecoder {};
struct FuseDecoder {};
struct StripDecoder {
  std::string content;  ///< one character
  int64_t start = 0;
  int64_t stop = 0;
};
using DecoderSpec = std::variant<ByteLevelDecoder, MetaspaceDecoder, ByteFallbackDecoder,
                                 FuseDecoder, StripDecoder, ReplaceStep>;

/// One piece of the post-processor's template: the text itself, or fixed ids.
struct TemplatePiece {
  bool is_text = false;
  std::string name;  ///< of the special token
  std::vector<int32_t> ids;
};

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space behind it along
  bool normalized = true;    ///< searched for in the normalized text
  bool special = false;
};

/// Two tokens that become one. The position in the list is the rank.
struct Merge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t result = 0;
};

struct BpeSpec {
  std::vector<std::string> tokens;  ///< by id; empty where there is no such id
  std::vector<Merge> merges;
  std::optional<std::string> unknown;
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

struct TokenizerSpec {
  std::string source;  ///< named in messages
  std::vector<NormalizerSpec> normalizers;
  std::vector<PreTokenizerSpec> pre_tokenizers;
  std::vector<DecoderSpec> decoders;
  bool has_decoder = false;                  ///< without one, tokens are joined by spaces
  std::vector<TemplatePiece> post_template;  ///< empty: the text alone
  std::vector<AddedToken> added_tokens;
  BpeSpec bpe;
};

}  // namespace scant
