#include "models/tokenizer/tokenizer.h"

#include <limits>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "models/tokenizer/added_tokens.h"
#include "models/tokenizer/bpe.h"
#include "models/tokenizer/decode.h"
#include "models/tokenizer/gguf_tokenizer.h"
#include "models/tokenizer/normalize.h"
#include "models/tokenizer/pre_tokenize.h"
#include "models/tokenizer/tokenizer_json.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

constexpr size_t kLongestText = std::numeric_limits<int32_t>::max();

class SpecTokenizer final : public Tokenizer {
 public:
  /// The texts are what to_tokenizer_json() and to_tokenizer_config_json() give.
  SpecTokenizer(TokenizerSpec spec, std::optional<std::string> json, std::string config_json)
      : spec_(std::move(spec)),
        json_(std::move(json)),
        config_json_(std::move(config_json)),
        normalizer_(spec_),
        pre_tokenizer_(spec_),
        added_(spec_, normalizer_),
        bpe_(spec_.bpe, spec_.source),
        decoder_(spec_) {
    spellings_ = spec_.bpe.tokens;
    decoded_ = spellings_;
    for (const AddedToken& token : spec_.added_tokens) {
      spellings_[static_cast<size_t>(token.id)] = token.content;
    }
    for (const auto& [id, spelling] : added_.decoded()) {
      decoded_[static_cast<size_t>(id)] = spelling;
    }
  }

  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options) const override {
    if (text.size() > kLongestText) {
      throw Error(spec_.source, "a text of " + std::to_string(text.size()) +
                                    " bytes is too long to be encoded at once");
    }
    std::string repaired;
    if (!is_valid_utf8(text)) {
      repaired = replace_invalid_utf8(text);
      text = repaired;
    }
    PieceList list = added_.extract(text, normalizer_, options.parse_special);
    pre_tokenizer_.apply(list);
    std::vector<int32_t> ids;
    ids.reserve(list.text.size() / 4);
    Bpe::Scratch scratch;
    for (const Piece& piece : list.pieces) {
      if (piece.id >= 0) {
        ids.push_back(piece.id);
      } else {
        bpe_.encode(list.of(piece), scratch, ids);
      }
    }
    return finished(std::move(ids), options.add_special);
  }

  std::string decode(std::span<const int32_t> ids, bool skip_special) const override {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const int32_t id : ids) {
      const std::string& token = decoded_[checked(id)];
      if (token.empty() || (skip_special && added_.is_special(token))) continue;
      tokens.push_back(token);
    }
    return decoder_.apply(std::move(tokens));
  }

  int32_t vocabulary_size() const override { return static_cast<int32_t>(spellings_.size()); }
  std::string token(int32_t id) const override { return spellings_[checked(id)]; }
  std::string to_tokenizer_json() const override {
    return json_ ? *json_ : write_tokenizer_json(spec_);
  }
  std::string to_tokenizer_config_json() const override { return config_json_; }

 private:
  size_t checked(int32_t id) const {
    if (id < 0 || static_cast<size_t>(id) >= spellings_.size()) {
      throw Error(spec_.source, "token id " + std::to_string(id) + " is not below " +
                                    std::to_string(spellings_.size()));
    }
    return static_cast<size_t>(id);
  }

  std::vector<int32_t> finished(std::vector<int32_t> ids, bool add_special) const {
    if (spec_.post_template.empty()) return ids;
    std::vector<int32_t> out;
    out.reserve(ids.size() + 2);
    for (const TemplatePiece& piece : spec_.post_template) {
      const std::vector<int32_t>& part = piece.is_text ? ids : piece.ids;
      if (piece.is_text || add_special) out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }

  TokenizerSpec spec_;
  std::optional<std::string> json_;
  std::string config_json_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  AddedTokens added_;
  Bpe bpe_;
  Decoder decoder_;
  std::vector<std::string> spellings_;  ///< by id
  std::vector<std::string> decoded_;    ///< by id, as the decoders see them
};

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::from_json(std::string_view text, const std::string& source) {
  return std::make_unique<SpecTokenizer>(read_tokenizer_json(text, source), std::string(text), "");
}

std::unique_ptr<Tokenizer> Tokenizer::from_gguf(const GgufVocabulary& vocabulary) {
  return std::make_unique<SpecTokenizer>(gguf_tokenizer_spec(vocabulary), std::nullopt,
                                         gguf_tokenizer_config(vocabulary));
}

std::unique_ptr<Tokenizer> Tokenizer::load(const Checkpoint& checkpoint) {
  if (const GgufVocabulary* vocabulary = checkpoint.gguf_vocabulary()) {
    return from_gguf(*vocabulary);
  }
  const auto files = checkpoint.tokenizer_files();
  if (!files || files->tokenizer_json.empty()) {
    throw Error(checkpoint.path(), "holds no tokenizer: expected tokenizer.json");
  }
  return std::make_unique<SpecTokenizer>(read_tokenizer_json(files->tokenizer_json, files->source),
                                         files->tokenizer_json, files->tokenizer_config_json);
}

}  // namespace scant
