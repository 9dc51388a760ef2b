#include "cli/description.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"

namespace scant {

nlohmann::ordered_json read_description(const Checkpoint& checkpoint) {
  const std::string path = checkpoint.path() + "/scant.json";
  if (!std::filesystem::exists(path)) return nullptr;
  auto json = nlohmann::ordered_json::parse(read_file(path), nullptr, false);
  if (!json.is_object()) throw Error(path, "not JSON; expected an object");
  return json;
}

std::optional<double> described_bits_per_weight(const Checkpoint& checkpoint) {
  const auto json = read_description(checkpoint);
  if (!json.is_object() || !json.contains("bits_per_weight") ||
      !json["bits_per_weight"].is_number()) {
    return std::nullopt;
  }
  return json["bits_per_weight"].get<double>();
}

}  // namespace scant
