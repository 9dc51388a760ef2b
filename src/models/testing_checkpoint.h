#pragma once

// Checkpoints that the tests of this module make and break.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "models/model.h"

namespace scant {

inline std::string fixture(const std::string& name) {
  return SCANT_SOURCE_DIR "/tests/goldens/models/" + name;
}

/// Every fixture, one per family and option.
inline std::vector<std::string> fixture_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(fixture(""))) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// A copy of a checkpoint in memory, free to be edited.
class MemoryCheckpoint : public Checkpoint {
 public:
  explicit MemoryCheckpoint(const std::string& folder) : path_("memory") {
    const auto source = Checkpoint::open(folder);
    config_ = source->config();
    for (const StoredTensor& tensor : source->tensors()) {
      std::vector<float> values(static_cast<size_t>(element_count(tensor.shape)));
      source->read_rows(tensor, 0, tensor.rows(), values);
      add(tensor.name, tensor.shape, std::move(values));
    }
  }

  nlohmann::json& edit_config() { return config_; }
  std::vector<float>& edit(const std::string& name) { return values_[require(name).index]; }
  void add(const std::string& name, Shape shape, std::vector<float> values) {
    StoredTensor tensor;
    tensor.name = name;
    tensor.shape = std::move(shape);
    tensor.type = "F32";
    tensor.dtype = DType::kF32;
    tensor.bytes = static_cast<int64_t>(values.size() * sizeof(float));
    tensor.file = "model.safetensors";
    tensor.index = tensors_.size();
    tensors_.push_back(std::move(tensor));
    values_.push_back(std::move(values));
  }
  void rename(const std::string& from, const std::string& to) {
    for (StoredTensor& tensor : tensors_) {
      if (tensor.name == from) tensor.name = to;
    }
  }

  const std::string& path() const override { return path_; }
  std::string_view container() const override { return "memory"; }
  const nlohmann::json& config() const override { return config_; }
  const std::vector<StoredTensor>& tensors() const override { return tensors_; }
  std::optional<TokenizerFiles> tokenizer_files() const override { return std::nullopt; }
  void read_rows(const StoredTensor& tensor, int64_t begin, int64_t count,
                 std::span<float> out) const override {
    ASSERT_EQ(static_cast<int64_t>(out.size()), count * tensor.row_size());
    std::copy_n(values_[tensor.index].begin() + begin * tensor.row_size(), out.size(), out.begin());
  }
  TensorView raw(const StoredTensor& tensor) const override {
    return {.data = reinterpret_cast<const std::byte*>(values_[tensor.index].data()),
            .dtype = DType::kF32,
            .shape = tensor.shape};
  }

 private:
  std::string path_;
  nlohmann::json config_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::vector<float>> values_;
};

inline Matrix logits_of(const Model& model, const std::vector<int32_t>& ids, int threads = 1) {
  ThreadPool pool(threads);
  Context context{.threads = pool};
  std::vector<State> batch(1);
  batch[0].tokens = ids;
  run_stages(model, model.weights(), batch, nullptr, context);
  return logits(model, batch[0], context);
}

/// What the Error says that `action` throws; "" (and a failed test) if it throws none.
inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  }
  ADD_FAILURE() << "expected an Error";
  return "";
}

}  // namespace scant
