#include "models/tokenizer/gguf_tokenizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

constexpr const char* kMetaspace = "\xE2\x96\x81";  // U+2581

// tokenizer.ggml.token_type
constexpr int32_t kUnknownType = 2;
constexpr int32_t kControlType = 3;
constexpr int32_t kUserDefinedType = 4;

constexpr const char* kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// The expression that llama-bpe and qwen2 share but for how many digits make a word.
std::string words_with_numbers(const std::string& numbers) {
  return R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|)" +
         numbers + R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

PreTokenizerSpec isolated(const std::string& expression) {
  return SplitStep{{expression, true}, SplitBehavior::kIsolated, false};
}

struct NamedWords {
  const char* pre;
  std::vector<PreTokenizerSpec> (*steps)();
  bool ignore_merges;
  bool add_bos;  ///< unless the file says
  bool written;  ///< of those with the same words, the one that is written
};

const std::array<NamedWords, 8>& known_words() {
  static const auto kPlain = +[]() -> std::vector<PreTokenizerSpec> {
    return {ByteLevelStep{false, true}};
  };
  static const auto kDigits = +[]() -> std::vector<PreTokenizerSpec> {
    return {DigitsStep{true}, ByteLevelStep{false, true}};
  };
  static const auto kLlamaBpe = +[]() -> std::vector<PreTokenizerSpec> {
    return {isolated(words_with_numbers(R"(\p{N}{1,3})")), ByteLevelStep{false, false}};
  };
  static const auto kQwen2 = +[]() -> std::vector<PreTokenizerSpec> {
    return {isolated(words_with_numbers(R"(\p{N})")), ByteLevelStep{false, false}};
  };
  static const auto kFallback = +[]() -> std::vector<PreTokenizerSpec> {
    return {isolated(R"([\p{P}\$\+<=>\^~\|]+)"), isolated(kGpt2Words), isolated(R"(\p{N}+)"),
            isolated("[0-9][0-9][0-9]"), ByteLevelStep{false, false}};
  };
  static const std::array<NamedWords, 8> kWords{{{"default", kFallback, false, false, false},
                                                 {"gpt-2", kPlain, false, false, true},
                                                 {"mpt", kPlain, false, false, false},
                                                 {"starcoder", kDigits, false, false, false},
                                                 {"refact", kDigits, false, false, false},
                                                 {"smollm", kDigits, false, false, true},
                                                 {"llama-bpe", kLlamaBpe, true, true, true},
                                                 {"qwen2", kQwen2, false, false, true}}};
  return kWords;
}

/// One spelling for steps that do the same; nothing for those that no known words have.
std::string spelled(const PreTokenizerSpec& step) {
  if (const auto* bytes = std::get_if<ByteLevelStep>(&step)) {
    return bytes->add_prefix_space ? "" : bytes->use_regex ? "bytes of words" : "bytes";
  }
  if (const auto* digits = std::get_if<DigitsStep>(&step)) {
    return digits->individual ? "digits" : "";
  }
  const auto* split = std::get_if<SplitStep>(&step);
  if (split == nullptr || split->invert || split->behavior != SplitBehavior::kIsolated ||
      !split->pattern.is_regex) {
    return "";
  }
  // tokenizer.json files write the contractions without regard to case, GGUF readers both cases.
  static const std::string kAnyCase = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
  static const std::string kBothCases = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
  std::string text = split->pattern.text;
  if (text.starts_with(kAnyCase)) text.replace(0, kAnyCase.size(), kBothCases);
  return "split " + text;
}

int32_t type_of(const GgufVocabulary& vocabulary, size_t id) {
  return id < vocabulary.types.size() ? vocabulary.types[id] : 1;
}

/// The tokens by spelling. An empty spelling is no token.
std::unordered_map<std::string_view, int32_t> index_tokens(const GgufVocabulary& vocabulary) {
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(vocabulary.tokens.size());
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (!is_valid_utf8(token)) {
      throw Error(vocabulary.source,
                  "tokenizer.ggml.tokens[" + std::to_string(id) + "] is not valid UTF-8");
    }
    if (token.empty()) continue;
    const auto [found, is_new] = ids.emplace(token, static_cast<int32_t>(id));
    if (!is_new) {
      throw Error(vocabulary.source, "tokenizer.ggml.tokens has '" + token.substr(0, 100) +
                                         "' twice, at " + std::to_string(found->second) + " and " +
                                         std::to_string(id));
    }
  }
  return ids;
}

std::vector<Merge> listed_merges(const GgufVocabulary& vocabulary,
                                 const std::unordered_map<std::string_view, int32_t>& ids) {
  std::vector<Merge> merges;
  merges.reserve(vocabulary.merges.size());
  for (size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string& both = vocabulary.merges[i];
    const auto fail = [&](const std::string& problem) {
      throw Error(vocabulary.source, "tokenizer.ggml.merges[" + std::to_string(i) + "] " + problem);
    };
    // The first token may itself begin with a space.
    const size_t space = both.find(' ', 1);
    if (space == std::string::npos) fail("is not two tokens with a space between them");
    const std::string left = both.substr(0, space);
    const std::string right = both.substr(space + 1);
    const auto find = [&](const std::string& token) {
      const auto found = ids.find(token);
      if (found == ids.end()) {
        fail("needs '" + token.substr(0, 100) + "', which is not among the tokens");
      }
      return found->second;
    };
    merges.push_back({find(left), find(right), find(left + right)});
  }
  // Of equal pairs the first counts; a tokenizer.json lets the last count.
  std::unordered_set<uint64_t> seen;
  std::erase_if(merges, [&](const Merge& merge) {
    const uint64_t pair =
        static_cast<uint64_t>(merge.left) << 32 | static_cast<uint32_t>(merge.right);
    return !seen.insert(pair).second;
  });
  return merges;
}

/// Every pair of tokens whose spellings make up a third, best score first; among equal scores the
/// longer left part first, as transformers' generate_merges orders them.
std::vector<Merge> merges_from_scores(const GgufVocabulary& vocabulary,
                                      const std::unordered_map<std::string_view, int32_t>& ids) {
  struct Scored {
    Merge merge;
    float score;
    size_t left_characters;
    size_t right_characters;
  };
  std::vector<Scored> scored;
  const auto is_part = [&](int32_t id) {
    const int32_t type = type_of(vocabulary, static_cast<size_t>(id));
    return type != kControlType && type != kUnknownType;
  };
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string_view token = vocabulary.tokens[id];
    if (token.empty() || !is_part(static_cast<int32_t>(id))) continue;
    const size_t first = scored.size();
    const auto characters = static_cast<size_t>(
        std::count_if(token.begin(), token.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    size_t before = 0;
    for (size_t at = 0; at + utf8_length(token[at]) < token.size();) {
      at += utf8_length(token[at]);
      ++before;
      const auto left = ids.find(token.substr(0, at));
      const auto right = ids.find(token.substr(at));
      if (left == ids.end() || right == ids.end()) continue;
      if (!is_part(left->second) || !is_part(right->second)) continue;
      scored.push_back({{left->second, right->second, static_cast<int32_t>(id)},
                        vocabulary.scores[id],
                        before,
                        characters - before});
    }
    // Where all else is equal, the order of ids stays.
    std::sort(scored.begin() + static_cast<ptrdiff_t>(first), scored.end(),
              [](const Scored& a, const Scored& b) {
                return std::pair(a.merge.left, a.merge.right) <
                       std::pair(b.merge.left, b.merge.right);
              });
  }
  std::stable_sort(scored.begin(), scored.end(), [](const Scored& a, const Scored& b) {
    return std::tuple(a.score, a.left_characters, a.right_characters) >
           std::tuple(b.score, b.left_characters, b.right_characters);
  });
  std::vector<Merge> merges;
  merges.reserve(scored.size());
  for (const Scored& entry : scored) merges.push_back(entry.merge);
  return merges;
}

std::optional<int32_t> special_id(const GgufVocabulary& vocabulary, std::optional<int64_t> id) {
  if (!id || *id < 0 || *id >= static_cast<int64_t>(vocabulary.tokens.size()) ||
      vocabulary.tokens[static_cast<size_t>(*id)].empty()) {
    return {};
  }
  return static_cast<int32_t>(*id);
}

struct SpecialIds {
  std::optional<int32_t> bos, eos, unknown, padding;
};

/// What the file says, else the defaults of a SentencePiece vocabulary.
SpecialIds special_ids(const GgufVocabulary& vocabulary) {
  const bool sentence_piece = vocabulary.model == "llama";
  const auto pick = [&](std::optional<int64_t> said, int64_t standard) {
    return special_id(vocabulary, said || !sentence_piece ? said : standard);
  };
  return {pick(vocabulary.bos, 1), pick(vocabulary.eos, 2), pick(vocabulary.unknown, 0),
          special_id(vocabulary, vocabulary.padding)};
}

void add_template(TokenizerSpec& spec, const GgufVocabulary& vocabulary, bool add_bos) {
  const SpecialIds ids = special_ids(vocabulary);
  const auto piece = [&](std::optional<int32_t> id, const char* name) {
    if (!id) {
      throw Error(vocabulary.source, std::string("tokenizer.ggml.") + name +
                                         "_token_id is needed, but missing or out of range");
    }
    spec.post_template.push_back({false, vocabulary.tokens[static_cast<size_t>(*id)], {*id}});
  };
  add_bos = vocabulary.add_bos.value_or(add_bos);
  const bool add_eos = vocabulary.add_eos.value_or(false);
  if (!add_bos && !add_eos) return;
  if (add_bos) piece(ids.bos, "bos");
  spec.post_template.push_back({true, "", {}});
  if (add_eos) piece(ids.eos, "eos");
}

void make_byte_level(TokenizerSpec& spec, const GgufVocabulary& vocabulary) {
  const std::string pre = vocabulary.pre.empty() ? "default" : vocabulary.pre;
  const auto& known = known_words();
  const auto found = std::find_if(known.begin(), known.end(),
                                  [&](const NamedWords& words) { return pre == words.pre; });
  if (found == known.end()) {
    std::string names;
    for (const NamedWords& words : known)
      names += (names.empty() ? "" : ", ") + std::string(words.pre);
    throw Error(vocabulary.source,
                "tokenizer.ggml.pre is '" + pre.substr(0, 100) + "'; supported are " + names);
  }
  if (vocabulary.merges.empty()) throw Error(vocabulary.source, "has no tokenizer.ggml.merges");
  spec.pre_tokenizers = found->steps();
  spec.decoders = {ByteLevelDecoder{}};
  spec.bpe.ignore_merges = found->ignore_merges;
  spec.bpe.merges = listed_merges(vocabulary, index_tokens(vocabulary));
  add_template(spec, vocabulary, found->add_bos);
}

void make_sentence_piece(TokenizerSpec& spec, const GgufVocabulary& vocabulary) {
  if (vocabulary.scores.size() != vocabulary.tokens.size()) {
    throw Error(vocabulary.source, "tokenizer.ggml.scores has " +
                                       std::to_string(vocabulary.scores.size()) + " values for " +
                                       std::to_string(vocabulary.tokens.size()) + " tokens");
  }
  for (size_t id = 0; id < vocabulary.scores.size(); ++id) {
    if (std::isnan(vocabulary.scores[id])) {
      throw Error(vocabulary.source, "tokenizer.ggml.scores[" + std::to_string(id) + "] is NaN");
    }
  }
  const bool prefix = vocabulary.add_space_prefix.value_or(true);
  if (prefix) spec.normalizers.emplace_back(PrependStep{kMetaspace});
  spec.normalizers.emplace_back(ReplaceStep{{" ", false}, kMetaspace});
  spec.decoders.emplace_back(ReplaceStep{{kMetaspace, false}, " "});
  spec.decoders.emplace_back(ByteFallbackDecoder{});
  spec.decoders.emplace_back(FuseDecoder{});
  if (prefix) spec.decoders.emplace_back(StripDecoder{" ", 1, 0});
  spec.bpe.byte_fallback = true;
  spec.bpe.fuse_unknown = true;
  if (const auto unknown = special_ids(vocabulary).unknown) {
    spec.bpe.unknown = vocabulary.tokens[static_cast<size_t>(*unknown)];
  }
  spec.bpe.merges = merges_from_scores(vocabulary, index_tokens(vocabulary));
  add_template(spec, vocabulary, true);
}

}  // namespace

TokenizerSpec gguf_tokenizer_spec(const GgufVocabulary& vocabulary) {
  if (vocabulary.tokens.empty()) throw Error(vocabulary.source, "has no tokenizer.ggml.tokens");
  if (!vocabulary.types.empty() && vocabulary.types.size() != vocabulary.tokens.size()) {
    throw Error(vocabulary.source, "tokenizer.ggml.token_type has " +
                                       std::to_string(vocabulary.types.size()) + " values for " +
                                       std::to_string(vocabulary.tokens.size()) + " tokens");
  }
  TokenizerSpec spec;
  spec.source = vocabulary.source;
  spec.has_decoder = true;
  spec.bpe.tokens = vocabulary.tokens;
  if (vocabulary.model == "gpt2") {
    make_byte_level(spec, vocabulary);
  } else if (vocabulary.model == "llama") {
    make_sentence_piece(spec, vocabulary);
  } else {
    throw Error(vocabulary.source, "tokenizer.ggml.model is '" + vocabulary.model.substr(0, 100) +
                                       "'; supported are gpt2 and llama");
  }
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const int32_t type = type_of(vocabulary, id);
    if (type != kUnknownType && type != kControlType && type != kUserDefinedType) continue;
    if (vocabulary.tokens[id].empty()) continue;
    spec.added_tokens.push_back({static_cast<int32_t>(id), vocabulary.tokens[id], false, false,
                                 false, false, type != kUserDefinedType});
  }
  return spec;
}

std::optional<std::string> gguf_pre_of(const TokenizerSpec& spec) {
  for (const NamedWords& words : known_words()) {
    if (!words.written || words.ignore_merges != spec.bpe.ignore_merges) continue;
    const auto same = [](const PreTokenizerSpec& a, const PreTokenizerSpec& b) {
      return !spelled(a).empty() && spelled(a) == spelled(b);
    };
    const auto steps = words.steps();
    if (std::equal(steps.begin(), steps.end(), spec.pre_tokenizers.begin(),
                   spec.pre_tokenizers.end(), same)) {
      return words.pre;
    }
  }
  return std::nullopt;
}

std::string gguf_tokenizer_config(const GgufVocabulary& vocabulary) {
  nlohmann::ordered_json config;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  const SpecialIds ids = special_ids(vocabulary);
  const auto set = [&](const char* key, std::optional<int32_t> id) {
    if (id) config[key] = vocabulary.tokens[static_cast<size_t>(*id)];
  };
  set("bos_token", ids.bos);
  set("eos_token", ids.eos);
  set("unk_token", ids.unknown);
  set("pad_token", ids.padding);
  config["clean_up_tokenization_spaces"] = false;
  if (!vocabulary.chat_template.empty()) {
    if (!is_valid_utf8(vocabulary.chat_template)) {
      throw Error(vocabulary.source, "tokenizer.chat_template is not valid UTF-8");
    }
    config["chat_template"] = vocabulary.chat_template;
  }
  return config.dump(2) + "\n";
}

}  // namespace scant
