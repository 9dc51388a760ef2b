#pragma once

#include "checkpoint/imports/importer.h"

namespace scant {

/// Folders of compressed-tensors (docs/formats/compressed-tensors.md): pack-quantized with dense
/// and with older packing and with g_idx, int-, float-, naive- and mxfp8-quantized, nvfp4-, mxfp4-
/// and mxfp6-pack-quantized, and mixtures of them.
FoundModel find_compressed_tensors(const Checkpoint& folder, const nlohmann::json& config);

/// `num_bits` and what else the arguments of a scheme say of weights or inputs.
struct CompressedTensorsArguments {
  int bits = 8;
  bool is_float = false;
  bool symmetric = true;
  std::string strategy;  ///< "tensor", "channel", "group", "tensor_group", "block", "token"
  int64_t group = 0;     ///< of the two group strategies
  int64_t block_rows = 0, block_cols = 0;  ///< of "block"
  bool dynamic = false;                    ///< scales from the values when they are there
};

/// One of config_groups.
struct CompressedTensorsGroup {
  std::vector<std::string> targets;
  std::optional<CompressedTensorsArguments> weights, inputs;
};

/// Throws Error naming the key that is missing or damaged, or that says what scant does not read
/// (outputs, presets, transforms, formats with bitmasks).
std::vector<CompressedTensorsGroup> compressed_tensors_groups(const nlohmann::json& config,
                                                              const std::string& where);

/// What the scales of NVFP4 are multiplied by: the reciprocal of this tensor of one F32. Throws
/// Error naming it unless that is a positive number.
float global_scale_factor(const Checkpoint& folder, const std::string& tensor);

/// The entry of "activations" for a module whose inputs are quantized so; adds the tensors that it
/// is made of to `parts`. Blocks of inputs in microscaling formats and NVFP4 are scaled as scant
/// defines them: readers choose scales of their own, which differ by at most one step.
nlohmann::json compressed_tensors_inputs(const Checkpoint& folder, const std::string& module,
                                         const CompressedTensorsArguments& inputs,
                                         std::vector<std::string>& parts);

}  // namespace scant
