#include "checkpoint/imports/gptq_parts.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {

using nlohmann::json;

GptqConfig::GptqConfig(const json& config, const std::string& where) {
  const auto whole = [&](const char* key, int64_t otherwise, int64_t lowest, int64_t highest) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) return otherwise;
    if (!found->is_number_integer() || *found < lowest || *found > highest) {
      throw Error(where, fmt::format("{} is {}; expected a whole number from {} to {}", key,
                                     found->dump().substr(0, 40), lowest, highest));
    }
    return found->get<int64_t>();
  };
  bits = static_cast<int>(whole("bits", 4, 2, 8));
  group = whole("group_size", -1, -1, int64_t{1} << 30);
  const json format = config.value("checkpoint_format", json("gptq"));
  const json pack = config.value("pack_dtype", json("int32"));
  if (format != "gptq" && format != "gptq_v2") {
    throw Error(where, fmt::format("checkpoint_format is {}; expected gptq or gptq_v2",
                                   format.dump().substr(0, 40)));
  }
  if (pack != "int32") {
    throw Error(where, fmt::format("pack_dtype is {}; expected int32", pack.dump().substr(0, 40)));
  }
  v2 = format == "gptq_v2";
  symmetric = config.value("sym", json(true)) == true;
}

uint32_t part_word(const ImportedPart& part, int64_t index) {
  uint32_t word = 0;
  std::memcpy(&word, part.bytes.data() + 4 * index, sizeof word);
  return word;
}

std::vector<std::string> modules_with(const Checkpoint& folder, std::string_view suffix) {
  std::vector<std::string> modules;
  for (const StoredTensor& tensor : folder.tensors()) {
    if (tensor.name.ends_with(suffix) && tensor.name.size() > suffix.size()) {
      modules.push_back(tensor.name.substr(0, tensor.name.size() - suffix.size()));
    }
  }
  return modules;
}

PackedEntry group_scaled_entry(const Checkpoint& folder, const std::string& spelling,
                               const Granularity& granularity, const ImportedPart& scales,
                               int64_t outputs, int64_t inputs) {
  PackedEntry entry;
  entry.spec.format = imported_format(spelling, granularity, scale_storage_of(scales));
  entry.spec.layout = "dense";
  entry.spec.rows = outputs;
  entry.spec.cols = inputs;
  entry.dtype = configured_dtype(folder);
  return entry;
}

Granularity granularity_of_groups(const Checkpoint& folder, const std::string& module,
                                  int64_t inputs, int64_t count, int64_t configured) {
  if (count == 1) return {Granularity::Kind::kRow, 0};
  int64_t size = configured;
  if (size < 1 || (inputs + size - 1) / size != count) size = count > 0 ? inputs / count : 0;
  if (size < 1 || (inputs + size - 1) / size != count) {
    throw Error(folder.path(), fmt::format("module {} has {} groups for {} inputs",
                                           quoted_name(module), count, inputs));
  }
  return {Granularity::Kind::kGroup, size};
}

}  // namespace scant
