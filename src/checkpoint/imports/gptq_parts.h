#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "checkpoint/imports/imported_weight.h"

namespace scant {

/// What the quantization_config of GPTQ and AWQ says.
struct GptqConfig {
  int bits = 4;
  int64_t group = -1;  ///< -1: one group
  bool v2 = false;     ///< zero points are stored as they are
  bool symmetric = true;

  /// Throws Error naming `where` and the key.
  GptqConfig(const nlohmann::json& config, const std::string& where);
};

/// Word `index` of a tensor of I32.
uint32_t part_word(const ImportedPart& part, int64_t index);

/// Modules that have a tensor of this suffix, in the order of the file.
std::vector<std::string> modules_with(const Checkpoint& folder, std::string_view suffix);

/// A dense weight of this format, with scales as they are stored.
PackedEntry group_scaled_entry(const Checkpoint& folder, const std::string& spelling,
                               const Granularity& granularity, const ImportedPart& scales,
                               int64_t outputs, int64_t inputs);

/// `count` groups over the inputs, of the size that the configuration says if that fits. Throws
/// Error naming the module if none does.
Granularity granularity_of_groups(const Checkpoint& folder, const std::string& module,
                                  int64_t inputs, int64_t count, int64_t configured);

}  // namespace scant
