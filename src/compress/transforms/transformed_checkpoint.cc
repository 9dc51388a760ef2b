#include "compress/transforms/transformed_checkpoint.h"

#include <algorithm>
#include <utility>

#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {

TransformedCheckpoint::TransformedCheckpoint(std::shared_ptr<const Checkpoint> base,
                                             CheckpointEdits edits)
    : base_(std::move(base)), edits_(std::move(edits)), config_(base_->config()) {
  for (const auto& [key, value] : edits_.config.items()) config_[key] = value;
  // transformers 5 writes "dtype", older ones "torch_dtype"; both read either.
  config_[config_.contains("dtype") ? "dtype" : "torch_dtype"] = "float32";
  for (const StoredTensor& stored : base_->tensors()) {
    add(stored.name, stored);
    for (const auto& [name, from] : edits_.copies) {
      if (from == stored.name) add(name, stored);  // beside it, in the same file
    }
  }
}

void TransformedCheckpoint::add(const std::string& name, const StoredTensor& stored) {
  const auto edit = edits_.tensors.find(name);
  const bool edited = edit != edits_.tensors.end();
  StoredTensor tensor = stored;
  tensor.name = name;
  tensor.index = tensors_.size();
  if (edited) {
    tensor.type = "F32";
    tensor.dtype = DType::kF32;
    tensor.bytes = element_count(stored.shape) * static_cast<int64_t>(sizeof(float));
  }
  index_.emplace(name, tensor.index);
  tensors_.push_back(std::move(tensor));
  sources_.push_back({&stored, edited ? &edit->second : nullptr});
}

const StoredTensor* TransformedCheckpoint::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

TensorView TransformedCheckpoint::raw(const StoredTensor& tensor) const {
  const Source& source = sources_.at(tensor.index);
  return source.edit != nullptr ? TensorView{} : base_->raw(*source.stored);
}

void TransformedCheckpoint::read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                                      std::span<float> out) const {
  const Source& source = sources_.at(tensor.index);
  check_row_range(path(), tensor, begin, count, out.size());
  if (source.edit == nullptr) return base_->read_rows(*source.stored, begin, count, out);
  if (source.edit->ones) return std::fill(out.begin(), out.end(), 1.0f);
  if (source.edit->column_rotation == nullptr) return read_edited(source, begin, count, out);
  const std::lock_guard lock(mutex_);
  if (!whole_ || whole_index_ != tensor.index) {
    whole_.reset();
    auto whole = std::make_shared<Matrix>(tensor.rows(), tensor.row_size());
    read_edited(source, 0, tensor.rows(), whole->values());
    source.edit->column_rotation->rotate_columns(whole->view());
    whole_ = std::move(whole);
    whole_index_ = tensor.index;
  }
  std::copy_n(whole_->row(begin), out.size(), out.begin());
}

// Everything but the rotation of columns.
void TransformedCheckpoint::read_edited(const Source& source, int64_t begin, int64_t count,
                                        std::span<float> out) const {
  base_->read_rows(*source.stored, begin, count, out);
  const TensorEdit& edit = *source.edit;
  const int64_t width = source.stored->row_size();
  const MatrixView rows(out.data(), count, width);
  for (int64_t r = 0; r < count; ++r) {
    const float of_row = edit.rows.empty() ? 1.0f : edit.rows.at(static_cast<size_t>(begin + r));
    for (int64_t c = 0; c < width; ++c) {
      const float of_column = edit.columns.empty() ? 1.0f : edit.columns[static_cast<size_t>(c)];
      rows(r, c) *= of_row * of_column;
    }
  }
  if (edit.row_rotation) edit.row_rotation->rotate_rows(rows);
}

}  // namespace scant
