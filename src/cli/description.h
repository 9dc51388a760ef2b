#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "checkpoint/checkpoint.h"

namespace scant {

/// scant.json of a compressed folder; null JSON elsewhere. Throws Error if it is not an object.
nlohmann::ordered_json read_description(const Checkpoint& checkpoint);

/// Its "bits_per_weight"; nothing for a model that scant did not compress.
std::optional<double> described_bits_per_weight(const Checkpoint& checkpoint);

}  // namespace scant
