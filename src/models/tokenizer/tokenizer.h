#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scant {

class Checkpoint;
struct GgufVocabulary;

struct EncodeOptions {
  bool add_special = false;    ///< what the post-processor adds (BOS, ...)
  bool parse_special = false;  ///< recognise special tokens that the text spells
};

/// Text to token ids and back: byte-level BPE and SentencePiece-style BPE, read from tokenizer.json
/// or from a GGUF vocabulary.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Throws Error naming the file and what is not supported or broken.
  static std::unique_ptr<Tokenizer> load(const Checkpoint& checkpoint);
  /// From the text of a tokenizer.json; `source` is named in messages.
  static std::unique_ptr<Tokenizer> from_json(std::string_view text, const std::string& source);
  /// From a GGUF file's vocabulary.
  static std::unique_ptr<Tokenizer> from_gguf(const GgufVocabulary& vocabulary);

  /// `text` is any bytes; invalid UTF-8 becomes U+FFFD as the reference does.
  virtual std::vector<int32_t> encode(std::string_view text,
                                      const EncodeOptions& options = {}) const = 0;
  /// Throws Error if an id is out of range.
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special = false) const = 0;
  virtual int32_t vocabulary_size() const = 0;
  /// The text of one token as tokenizer.json spells it.
  virtual std::string token(int32_t id) const = 0;
  /// A tokenizer.json and tokenizer_config.json with the same behaviour (a GGUF's becomes a
  /// folder's).
  virtual std::string to_tokenizer_json() const = 0;
  virtual std::string to_tokenizer_config_json() const = 0;
};

}  // namespace scant
