#include <fmt/format.h>

#include "checkpoint/gguf_checkpoint.h"
#include "core/error.h"

namespace scant {
namespace {

/// Parallel lists must be as long as the list of tokens.
template <typename T>
std::vector<T> one_per_token(const GgufFile& file, std::string_view key,
                             std::optional<std::vector<T>> items, size_t tokens) {
  if (!items) return {};
  if (items->size() != tokens) {
    throw Error(file.where(), fmt::format("key {} has {} items; expected one for each of {} tokens",
                                          key, items->size(), tokens));
  }
  return *std::move(items);
}

/// Real files mark "none" with an id such as 4294967295.
std::optional<int64_t> token_id(const GgufFile& file, std::string_view key, size_t tokens) {
  const GgufValue* value = file.find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* id = std::get_if<uint64_t>(value)) {
    return *id < tokens ? std::optional(static_cast<int64_t>(*id)) : std::nullopt;
  }
  if (const auto* id = std::get_if<int64_t>(value)) {
    const bool known = *id >= 0 && static_cast<uint64_t>(*id) < tokens;
    return known ? std::optional(*id) : std::nullopt;
  }
  throw Error(file.where(), fmt::format("key {} is not an integer", key));
}

}  // namespace

std::optional<GgufVocabulary> read_gguf_vocabulary(const GgufFile& file) {
  const auto model = file.text("tokenizer.ggml.model");
  if (!model || model == "none") return std::nullopt;
  GgufVocabulary result;
  result.source = file.where();
  result.model = *model;
  result.pre = file.text("tokenizer.ggml.pre").value_or("default");
  result.tokens = file.texts("tokenizer.ggml.tokens").value_or(std::vector<std::string>());
  if (result.tokens.empty()) throw Error(file.where(), "key tokenizer.ggml.tokens has no tokens");
  const size_t tokens = result.tokens.size();
  result.scores =
      one_per_token(file, "tokenizer.ggml.scores", file.floats("tokenizer.ggml.scores"), tokens);
  result.types = one_per_token(file, "tokenizer.ggml.token_type",
                               file.integers("tokenizer.ggml.token_type"), tokens);
  result.merges = file.texts("tokenizer.ggml.merges").value_or(std::vector<std::string>());
  result.bos = token_id(file, "tokenizer.ggml.bos_token_id", tokens);
  result.eos = token_id(file, "tokenizer.ggml.eos_token_id", tokens);
  result.unknown = token_id(file, "tokenizer.ggml.unknown_token_id", tokens);
  result.padding = token_id(file, "tokenizer.ggml.padding_token_id", tokens);
  result.add_bos = file.boolean("tokenizer.ggml.add_bos_token");
  result.add_eos = file.boolean("tokenizer.ggml.add_eos_token");
  result.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix");
  result.chat_template = file.text("tokenizer.chat_template").value_or("");
  return result;
}

void write_gguf_vocabulary(const GgufVocabulary& vocabulary, GgufKeys& keys) {
  keys.text("tokenizer.ggml.model", vocabulary.model);
  keys.text("tokenizer.ggml.pre", vocabulary.pre);
  keys.texts("tokenizer.ggml.tokens", vocabulary.tokens);
  if (!vocabulary.scores.empty()) keys.floats("tokenizer.ggml.scores", vocabulary.scores);
  if (!vocabulary.types.empty()) keys.integers("tokenizer.ggml.token_type", vocabulary.types);
  if (!vocabulary.merges.empty()) keys.texts("tokenizer.ggml.merges", vocabulary.merges);
  const auto id = [&](std::string_view key, std::optional<int64_t> value) {
    if (value) keys.u32(key, static_cast<uint64_t>(*value));
  };
  id("tokenizer.ggml.bos_token_id", vocabulary.bos);
  id("tokenizer.ggml.eos_token_id", vocabulary.eos);
  id("tokenizer.ggml.unknown_token_id", vocabulary.unknown);
  id("tokenizer.ggml.padding_token_id", vocabulary.padding);
  const auto flag = [&](std::string_view key, std::optional<bool> value) {
    if (value) keys.boolean(key, *value);
  };
  flag("tokenizer.ggml.add_bos_token", vocabulary.add_bos);
  flag("tokenizer.ggml.add_eos_token", vocabulary.add_eos);
  flag("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix);
  if (!vocabulary.chat_template.empty()) {
    keys.text("tokenizer.chat_template", vocabulary.chat_template);
  }
}

}  // namespace scant
