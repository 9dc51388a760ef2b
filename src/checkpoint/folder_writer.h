#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/atomic_write.h"
#include "core/tensor.h"

namespace scant {

/// One tensor to write. The shape and dtype are known before the data, so that headers come first
/// and data is streamed: memory stays at one tensor.
struct PlannedTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  size_t bytes() const { return static_cast<size_t>(element_count(shape)) * dtype_size(dtype); }
};

/// One safetensors file to write: tensors in the order in which their data will come.
struct PlannedShard {
  std::string file;  ///< "model.safetensors", "model-00001-of-00003.safetensors"
  std::vector<PlannedTensor> tensors;
};

/// Writes the shards into `folder` (and model.safetensors.index.json if there are several).
/// `data(tensor, sink)` is called once per tensor in order and must pass exactly tensor.bytes()
/// bytes to the sink, in any number of pieces. Throws Error on any I/O failure.
void write_shards(
    const AtomicFolder& folder, const std::vector<PlannedShard>& shards,
    const std::function<void(const PlannedTensor&,
                             const std::function<void(std::span<const std::byte>)>&)>& data);

}  // namespace scant
