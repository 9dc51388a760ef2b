#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "checkpoint/folder_writer.h"
#include "checkpoint/packed_folder.h"
#include "compress/plan.h"

namespace scant {

/// How a planned layer will be stored, known before it is compressed.
PackedEntry packed_entry_of(const PlannedLayer& layer, const StoredTensor& stored);

/// Codes, scales and mask of a compressed matrix in the layout of `spec`. `plain` is what its
/// values are stored as where the spec has no number format.
PackedMatrix pack_compressed(const CompressedMatrix& matrix, const PackedSpec& spec);

/// The tensors of a checkpoint in its order, planned ones as their parts.
std::vector<PlannedShard> plan_packed(const Checkpoint& source,
                                      const std::map<std::string, PackedEntry>& entries);

/// Writes the parts of one tensor, in their order.
void write_packed(FolderWriter& writer, const std::string& tensor, const PackedMatrix& matrix);

/// The "quantization_config" of config.json.
nlohmann::ordered_json packed_config(const std::map<std::string, PackedEntry>& entries);

}  // namespace scant
