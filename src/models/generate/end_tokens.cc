#include "models/generate/end_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

using nlohmann::json;

constexpr const char* kKey = "eos_token_id";

void add_ids(const json& value, const std::string& where, int32_t vocabulary,
             std::set<int32_t>& ends) {
  const json list = value.is_array() ? value : json::array({value});
  for (const json& id : list) {
    if (!id.is_number_integer() || id < 0 || id >= vocabulary) {
      throw Error(where, std::string(kKey) + " has " + id.dump().substr(0, 40) +
                             "; expected token ids below " + std::to_string(vocabulary));
    }
    ends.insert(id.get<int32_t>());
  }
}

bool has_ids(const json& config) {
  return config.is_object() && config.contains(kKey) && !config[kKey].is_null();
}

}  // namespace

json read_generation_config(const Checkpoint& checkpoint) {
  const std::string name = "generation_config.json";
  if (std::ranges::count(checkpoint.companion_files(), name) == 0) return json::object();
  const std::string path = checkpoint.path() + "/" + name;
  json config = json::parse(read_file(path), nullptr, false);
  if (!config.is_object()) throw Error(path, "not JSON; expected an object");
  return config;
}

json tokenizer_config(const Tokenizer& tokenizer) {
  const std::string text = tokenizer.to_tokenizer_config_json();
  if (text.empty()) return json::object();
  json config = json::parse(text, nullptr, false);
  if (!config.is_object()) throw Error("tokenizer_config.json", "not JSON; expected an object");
  return config;
}

std::string special_token(const json& config, const std::string& key) {
  const auto found = config.find(key);
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content") && (*found)["content"].is_string()) {
    return (*found)["content"].get<std::string>();
  }
  return "";
}

std::set<int32_t> end_tokens(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
  std::set<int32_t> ends;
  const int32_t vocabulary = tokenizer.vocabulary_size();
  const json generation = read_generation_config(checkpoint);
  if (has_ids(generation)) {
    add_ids(generation[kKey], checkpoint.path() + "/generation_config.json", vocabulary, ends);
  } else if (has_ids(checkpoint.config())) {
    add_ids(checkpoint.config()[kKey], checkpoint.path(), vocabulary, ends);
  }
  const std::string text = special_token(tokenizer_config(tokenizer), "eos_token");
  if (text.empty()) return ends;
  const std::vector<int32_t> ids = tokenizer.encode(text, {.parse_special = true});
  if (ids.size() == 1) ends.insert(ids[0]);
  return ends;
}

}  // namespace scant
