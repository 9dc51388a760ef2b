#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
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

/// The tensors of a checkpoint in its own order and sharding; one model.safetensors for a GGUF
/// file.
std::vector<PlannedShard> plan_like(const Checkpoint& source);

/// Copies the companion files (tokenizer, generation_config.json, ...) of a folder.
void copy_companion_files(const Checkpoint& source, const AtomicFolder& folder);

/// Streams tensors into the safetensors files of a folder, and model.safetensors.index.json if
/// there are several or the one is not called model.safetensors. Files, names, order and shapes are
/// planned; the dtype of a tensor is known only when its data is (compression decides it by
/// exactness). So each file starts with room for the longest header that the plan allows, filled in
/// at the end and padded with spaces, which the safetensors specification permits. Memory: nothing
/// but the header.
class FolderWriter {
 public:
  FolderWriter(const AtomicFolder& folder, std::vector<PlannedShard> shards);
  ~FolderWriter();
  FolderWriter(const FolderWriter&) = delete;
  FolderWriter& operator=(const FolderWriter&) = delete;

  /// Starts the next planned tensor; `name` must be its name. This and the other functions throw
  /// std::logic_error if calls do not follow the plan, and Error on any I/O failure.
  void begin_tensor(const std::string& name, DType dtype);
  /// Data of the tensor begun, in any number of pieces, element_count(shape) elements in all.
  void append(std::span<const std::byte> bytes);
  /// After all planned data: writes what is left of headers and index, and syncs.
  void close();
  /// Bytes of tensor data written.
  uint64_t total_bytes() const { return total_bytes_; }

 private:
  struct Shard;
  void open_shard();
  void close_shard();
  void write_index() const;

  const AtomicFolder& folder_;
  std::vector<PlannedShard> plan_;
  size_t next_shard_ = 0;         ///< of the plan, to be opened next
  std::unique_ptr<Shard> shard_;  ///< open
  uint64_t total_bytes_ = 0;
};

}  // namespace scant
