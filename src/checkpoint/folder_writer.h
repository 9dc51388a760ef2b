#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/atomic_write.h"
#include "core/tensor.h"

namespace scant {

struct PlannedTensor {
  std::string name;
  Shape shape;
};

/// One safetensors file to write: its tensors in the order in which their data will come.
struct PlannedShard {
  std::string file;  ///< "model.safetensors", "model-00001-of-00003.safetensors"
  std::vector<PlannedTensor> tensors;
};

/// Streams tensors into the safetensors files of a folder, and model.safetensors.index.json if
/// there are several. Files, names, order and shapes are planned; the dtype of a tensor is known
/// only when its data is (compression decides it by exactness). So each file starts with room for
/// the longest header that the plan allows, filled in at the end and padded with spaces, which the
/// safetensors specification permits. Memory: nothing but the header.
class FolderWriter {
 public:
  FolderWriter(const AtomicFolder& folder, std::vector<PlannedShard> shards);
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  /// Starts the next planned tensor; `name` must be its name (throws std::logic_error otherwise).
  void begin_tensor(const std::string& name, DType dtype);
  /// Data of the tensor begun, in any number of pieces.
  void append(std::span<const std::byte> bytes);
  /// Checks that all planned data came, writes headers and the index, syncs. Throws Error on any
  /// I/O failure.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace scant
