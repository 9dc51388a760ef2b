#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "formats/packed.h"

namespace scant {

/// The version of packed folders that is written, and the newest that is read.
inline constexpr int kPackedFormatVersion = 1;

/// As `scant inspect` calls such a folder.
inline constexpr std::string_view kPackedContainer = "packed safetensors";

/// How one tensor of a packed folder is stored (docs/formats/packed.md).
struct PackedEntry {
  PackedSpec spec;
  Shape shape;                ///< of the tensor in a dense checkpoint
  bool transposed = false;    ///< the dense checkpoint has inputs x outputs
  DType dtype = DType::kF32;  ///< of the dense checkpoint that it was made from
};

/// The name of a part's own tensor: "model.layers.0.mlp.up_proj.weight.codes".
std::string packed_part_tensor(const std::string& tensor, PackedPart part);
/// The type under which a part is stored, so that other tools can read scales.
DType packed_part_dtype(const PackedSpec& spec, PackedPart part);
/// The type of stored scales; U8 for E8M0 (exponent + 127).
DType scale_dtype(ScaleStorage storage);

/// The object "quantization_config" of config.json: quant_method "scant", format_version, and
/// `tensors` by name. packed_entry() reads back what packed_entry_json() wrote; it throws Error
/// naming `where` and the key.
nlohmann::ordered_json packed_entry_json(const PackedEntry& entry);
PackedEntry packed_entry(const nlohmann::json& json, const std::string& where);

/// Whether the configuration says that the folder holds packed tensors.
bool is_packed_config(const nlohmann::json& config);

/// `folder`, whose tensors are parts, as a checkpoint with the tensors that they make up: values
/// are those that were simulated. A tensor's parts are checked when it is first read. Throws Error
/// if a part is missing or has another type.
std::unique_ptr<Checkpoint> open_packed_folder(std::unique_ptr<Checkpoint> folder);

}  // namespace scant
