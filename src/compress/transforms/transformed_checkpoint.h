#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "ops/rotation/rotation.h"

namespace scant {

/// How a stored tensor T becomes another one: R diag(rows) T diag(columns) Q, with R^T of
/// `column_rotation` and Q of `row_rotation`; a vector of n values is n rows of one column. What is
/// empty or null is the identity.
struct TensorEdit {
  std::vector<float> rows;
  std::vector<float> columns;
  std::shared_ptr<const Rotation> row_rotation;     ///< rotates each row
  std::shared_ptr<const Rotation> column_rotation;  ///< rotates each column
  bool ones = false;                                ///< every value is 1; nothing else counts
};

/// What a transform changes in a checkpoint.
struct CheckpointEdits {
  std::map<std::string, TensorEdit, std::less<>> tensors;
  /// New tensors, by name, with the values of the tensor named; edited like any other.
  std::map<std::string, std::string, std::less<>> copies;
  nlohmann::json config;  ///< keys that replace those of the configuration
};

/// A checkpoint whose tensors are edited when they are read. Edited tensors are F32, and the
/// configuration says so. Memory: one tensor, of those whose columns are rotated.
class TransformedCheckpoint : public Checkpoint {
 public:
  TransformedCheckpoint(std::shared_ptr<const Checkpoint> base, CheckpointEdits edits);

  const std::string& path() const override { return base_->path(); }
  std::string_view container() const override { return base_->container(); }
  const nlohmann::json& config() const override { return config_; }
  const std::vector<StoredTensor>& tensors() const override { return tensors_; }
  std::optional<TokenizerFiles> tokenizer_files() const override {
    return base_->tokenizer_files();
  }
  const GgufVocabulary* gguf_vocabulary() const override { return base_->gguf_vocabulary(); }
  std::vector<std::string> companion_files() const override { return base_->companion_files(); }
  const StoredTensor* find(std::string_view name) const override;
  void read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                 std::span<float> out) const override;
  TensorView raw(const StoredTensor& tensor) const override;

 private:
  struct Source {
    const StoredTensor* stored;  // in the base
    const TensorEdit* edit;      // null: as it is
  };
  void add(const std::string& name, const StoredTensor& stored);
  void read_edited(const Source& source, int64_t begin, int64_t count, std::span<float> out) const;

  std::shared_ptr<const Checkpoint> base_;
  CheckpointEdits edits_;
  nlohmann::json config_;
  std::vector<StoredTensor> tensors_;
  std::vector<Source> sources_;
  std::map<std::string, size_t, std::less<>> index_;
  // The last tensor whose columns were rotated: it is read piece by piece, but made as a whole.
  mutable std::mutex mutex_;
  mutable size_t whole_index_ = 0;
  mutable std::shared_ptr<const Matrix> whole_;
};

}  // namespace scant
