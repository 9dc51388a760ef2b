#include "compress/packed_output.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace scant {

PackedEntry packed_entry_of(const PlannedLayer& layer, const StoredTensor& stored) {
  const CompressionSpec& spec = layer.plan.weights;
  PackedEntry entry;
  entry.spec = {.format = spec.format ? *spec.format : plain_format_of(stored),
                .pattern = spec.pattern,
                .layout = layer.size.layout,
                .rows = layer.info.outputs,
                .cols = layer.info.inputs,
                .column_factors = layer.size.column_factors > 0,
                .column_order = layer.size.column_order > 0};
  entry.shape = stored.shape;
  entry.transposed = layer.info.transposed;
  entry.dtype = stored.dtype.value_or(DType::kF32);
  return entry;
}

PackedMatrix pack_compressed(const CompressedMatrix& matrix, const PackedSpec& spec) {
  const Mask* mask = matrix.mask ? &*matrix.mask : nullptr;
  if (matrix.quantized) return pack(*matrix.quantized, mask, spec.pattern, spec.layout);
  QuantizedMatrix plain;
  plain.format = spec.format;
  plain.rows = matrix.values.rows();
  plain.cols = matrix.values.cols();
  plain.plain = Matrix::copy_of(matrix.values.view());
  return pack(plain, mask, spec.pattern, spec.layout);
}

std::vector<PlannedShard> plan_packed(const Checkpoint& source,
                                      const std::map<std::string, PackedEntry>& entries) {
  std::vector<PlannedShard> plan = plan_like(source);
  for (PlannedShard& shard : plan) {
    std::vector<PlannedTensor> tensors;
    for (PlannedTensor& tensor : shard.tensors) {
      const auto entry = entries.find(tensor.name);
      if (entry == entries.end()) {
        tensors.push_back(std::move(tensor));
        continue;
      }
      const PackedSpec& spec = entry->second.spec;
      const auto sizes = packed_part_bytes(spec);
      for (size_t i = 0; i < kPackedParts; ++i) {
        const auto part = static_cast<PackedPart>(i);
        if (sizes[i] == 0) continue;
        const auto width = static_cast<int64_t>(dtype_size(packed_part_dtype(spec, part)));
        tensors.push_back({packed_part_tensor(tensor.name, part), {sizes[i] / width}});
      }
    }
    shard.tensors = std::move(tensors);
  }
  return plan;
}

void write_packed(FolderWriter& writer, const std::string& tensor, const PackedMatrix& matrix) {
  for (size_t i = 0; i < kPackedParts; ++i) {
    const auto part = static_cast<PackedPart>(i);
    if (matrix.part(part).empty()) continue;
    writer.begin_tensor(packed_part_tensor(tensor, part), packed_part_dtype(matrix.spec(), part));
    writer.append(matrix.part(part));
  }
}

nlohmann::ordered_json packed_config(const std::map<std::string, PackedEntry>& entries) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::object();
  for (const auto& [name, entry] : entries) tensors[name] = packed_entry_json(entry);
  return {{"quant_method", "scant"},
          {"format_version", kPackedFormatVersion},
          {"tensors", std::move(tensors)}};
}

}  // namespace scant
