#include "models/tokenizer/to_gguf.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "models/generate/end_tokens.h"
#include "models/tokenizer/gguf_tokenizer.h"

namespace scant {
namespace {

using nlohmann::json;

constexpr const char* kMetaspace = "\xE2\x96\x81";  // U+2581

// tokenizer.ggml.token_type
enum : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// "<0x0A>", of a vocabulary with byte fallback.
bool is_byte_token(const std::string& token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with(">");
}

void add_tokens(const TokenizerSpec& spec, int64_t rows, GgufVocabulary& vocabulary) {
  auto& tokens = vocabulary.tokens;
  tokens = spec.bpe.tokens;
  vocabulary.types.assign(tokens.size(), kNormal);
  if (spec.bpe.byte_fallback) {
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (is_byte_token(tokens[id])) vocabulary.types[id] = kByte;
    }
  }
  for (const AddedToken& token : spec.added_tokens) {
    const auto id = static_cast<size_t>(token.id);
    tokens[id] = token.content;
    vocabulary.types[id] = token.content == spec.bpe.unknown ? kUnknown
                           : token.special                   ? kControl
                                                             : kUserDefined;
  }
  if (static_cast<int64_t>(tokens.size()) > rows) {
    throw Error(spec.source, "has " + std::to_string(tokens.size()) + " tokens for the model's " +
                                 std::to_string(rows) + " rows; GGUF needs a row for every token");
  }
  tokens.resize(static_cast<size_t>(rows));
  vocabulary.types.resize(tokens.size(), kUnused);
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty()) continue;
    tokens[id] = "[PAD" + std::to_string(id) + "]";
    vocabulary.types[id] = kUnused;
  }
}

void add_byte_level(const TokenizerSpec& spec, GgufTokenizer& made) {
  const auto pre = gguf_pre_of(spec);
  if (!pre) {
    throw Error(spec.source,
                "splits text into words in a way that no known pre-tokenizer of GGUF has; the "
                "nearest that can be said: gpt-2, smollm, llama-bpe, qwen2");
  }
  for (const NormalizerSpec& step : spec.normalizers) {
    const auto* form = std::get_if<UnicodeForm>(&step);
    if (form == nullptr || *form != UnicodeForm::kNfc) {
      throw Error(spec.source,
                  "normalizes text, which byte-level tokenizers of GGUF do not do; the nearest "
                  "that they take: no normalizer, or NFC");
    }
    made.notes.emplace_back(
        "The tokenizer composes characters first (NFC), llama.cpp does not: ids differ for texts "
        "that are not composed.");
  }
  made.vocabulary.model = "gpt2";
  made.vocabulary.pre = *pre;
  const auto& tokens = spec.bpe.tokens;
  for (const Merge& merge : spec.bpe.merges) {
    const std::string& left = tokens[static_cast<size_t>(merge.left)];
    const std::string& right = tokens[static_cast<size_t>(merge.right)];
    if ((left + right).find(' ') != std::string::npos) {
      throw Error(spec.source, "merges '" + left.substr(0, 50) + "' and '" + right.substr(0, 50) +
                                   "', with a space, which GGUF cannot say");
    }
    made.vocabulary.merges.push_back(left + " " + right);
  }
}

/// Whether text gets a space in front; nothing if words are not made as SentencePiece does.
std::optional<bool> space_prefix(const TokenizerSpec& spec, GgufTokenizer& made) {
  bool prefix = false, replaced = false;
  for (const NormalizerSpec& step : spec.normalizers) {
    const auto* prepend = std::get_if<PrependStep>(&step);
    const auto* replace = std::get_if<ReplaceStep>(&step);
    if (prepend != nullptr && prepend->text == kMetaspace) {
      prefix = true;
    } else if (replace != nullptr && !replace->pattern.is_regex && replace->pattern.text == " " &&
               replace->content == kMetaspace) {
      replaced = true;
    } else {
      return std::nullopt;
    }
  }
  for (const PreTokenizerSpec& step : spec.pre_tokenizers) {
    const auto* space = std::get_if<MetaspaceStep>(&step);
    if (space == nullptr || space->split || space->replacement != kMetaspace) return std::nullopt;
    prefix |= space->scheme != PrependScheme::kNever;
    replaced = true;
    if (space->scheme == PrependScheme::kNever) continue;
    made.notes.emplace_back(
        space->scheme == PrependScheme::kFirst
            ? "The tokenizer puts a space before a text that begins with none, llama.cpp before "
              "every text, also behind special tokens."
            : "The tokenizer puts a space before a text that begins with none, llama.cpp before "
              "every text.");
  }
  return replaced ? std::optional(prefix) : std::nullopt;
}

void add_sentence_piece(const TokenizerSpec& spec, GgufTokenizer& made) {
  const auto prefix = space_prefix(spec, made);
  if (!prefix) {
    throw Error(spec.source,
                "splits text into words in a way that SentencePiece vocabularies of GGUF have "
                "not; the nearest that they take: spaces to U+2581, without a split");
  }
  GgufVocabulary& vocabulary = made.vocabulary;
  vocabulary.model = "llama";
  vocabulary.pre = "default";
  vocabulary.add_space_prefix = *prefix;
  const auto last = -static_cast<float>(spec.bpe.merges.size());
  vocabulary.scores.assign(vocabulary.tokens.size(), last);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != kNormal) vocabulary.scores[id] = 0.0f;
  }
  for (size_t rank = spec.bpe.merges.size(); rank-- > 0;) {  // the first merge of a token counts
    const auto result = static_cast<size_t>(spec.bpe.merges[rank].result);
    vocabulary.scores[result] = -static_cast<float>(rank);
  }
}

/// Scores say which token is made first, and any two parts make it; a list of merges may say less.
void check_scores(const TokenizerSpec& spec, GgufTokenizer& made) {
  const TokenizerSpec back = gguf_tokenizer_spec(made.vocabulary);
  const auto same = [](const Merge& a, const Merge& b) {
    return a.left == b.left && a.right == b.right && a.result == b.result;
  };
  if (std::ranges::equal(back.bpe.merges, spec.bpe.merges, same)) return;
  made.notes.emplace_back(
      "The tokenizer's merges are not those that scores give: some texts have other ids in "
      "llama.cpp.");
}

std::optional<int64_t> id_of(const GgufVocabulary& vocabulary, const json& tokenizer_config,
                             const json& config, const std::string& name) {
  const std::string text = special_token(tokenizer_config, name);
  const auto found = std::ranges::find(vocabulary.tokens, text);
  if (!text.empty() && found != vocabulary.tokens.end()) {
    return found - vocabulary.tokens.begin();
  }
  json id = config.is_object() ? config.value(name + "_id", json()) : json();
  if (id.is_array() && !id.empty()) id = json(id.front());
  const auto count = static_cast<int64_t>(vocabulary.tokens.size());
  if (!id.is_number_integer() || id < 0 || id >= count) return std::nullopt;
  return id.get<int64_t>();
}

/// What is added around a text: nothing, or one of its two marks.
void add_template(const TokenizerSpec& spec, GgufVocabulary& vocabulary) {
  bool before = true;
  vocabulary.add_bos = vocabulary.add_eos = false;
  for (const TemplatePiece& piece : spec.post_template) {
    if (piece.is_text) {
      before = false;
      continue;
    }
    auto& flag = before ? vocabulary.add_bos : vocabulary.add_eos;
    auto& mark = before ? vocabulary.bos : vocabulary.eos;
    if (!mark && piece.ids.size() == 1) mark = piece.ids[0];
    if (*flag || piece.ids.size() != 1 || piece.ids[0] != mark) {
      throw Error(spec.source, "puts '" + piece.name.substr(0, 100) + "' " +
                                   (before ? "before" : "behind") +
                                   " every text; GGUF can say that of one " +
                                   (before ? "bos" : "eos") + " token only");
    }
    flag = true;
  }
}

}  // namespace

GgufTokenizer to_gguf(const TokenizerSpec& spec, const json& tokenizer_config, const json& config,
                      int64_t rows) {
  GgufTokenizer made;
  made.vocabulary.source = spec.source;
  add_tokens(spec, rows, made.vocabulary);
  const bool sentence_piece = spec.bpe.byte_fallback;
  if (sentence_piece) {
    add_sentence_piece(spec, made);
  } else {
    add_byte_level(spec, made);
  }
  const auto id = [&](const char* name) {
    return id_of(made.vocabulary, tokenizer_config, config, name);
  };
  made.vocabulary.bos = id("bos_token");
  made.vocabulary.eos = id("eos_token");
  made.vocabulary.unknown = id("unk_token");
  made.vocabulary.padding = id("pad_token");
  add_template(spec, made.vocabulary);
  if (sentence_piece) check_scores(spec, made);
  if (std::ranges::any_of(spec.added_tokens, [](const AddedToken& token) {
        return token.lstrip || token.rstrip || token.single_word;
      })) {
    made.notes.emplace_back(
        "Some added tokens take the white space beside them along or stand alone only, which GGUF "
        "cannot say.");
  }
  return made;
}

}  // namespace scant
