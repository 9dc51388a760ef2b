#pragma once

#include <map>
#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "models/input_quantization.h"
#include "ops/rotation/rotation.h"

namespace scant {

/// What a compressed model does with the inputs of its linear layers, by module name: rotate them,
/// then quantize them (docs/formats/scant-json.md).
struct LinearInputs {
  std::map<std::string, std::shared_ptr<const Rotation>, std::less<>> rotations;
  InputQuantizations quantizations;
};

/// The file beside scant.json that holds the column maxima of CrossQuant.
inline constexpr const char* kLinearInputsFile = "scant.safetensors";
/// The format_version that is written; older ones are read too.
inline constexpr int kScantJsonVersion = 2;

/// The keys "activations" and "rotations" of FOLDER/scant.json and the vectors that they name.
/// Empty if there is no such file or key. Throws Error naming file and module for what is wrong.
LinearInputs read_linear_inputs(const std::string& folder);
/// The same of a checkpoint: what it says itself (Checkpoint::linear_inputs), else its folder's
/// scant.json.
LinearInputs read_linear_inputs(const Checkpoint& checkpoint);

}  // namespace scant
