#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "checkpoint/all_containers.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {

int64_t StoredTensor::row_size() const {
  int64_t size = 1;
  for (size_t i = 1; i < shape.size(); ++i) size *= shape[i];
  return size;
}

std::unique_ptr<Checkpoint> Checkpoint::open(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) throw Error(path, "no such file or folder");
  std::string expected;
  for (const Container& container : all_containers()) {
    if (container.accepts(path)) return container.open(path);
    expected += fmt::format("{}{}", expected.empty() ? "" : " or ", container.expectation);
  }
  throw Error(path, "not a model; expected " + expected);
}

const StoredTensor* Checkpoint::find(std::string_view name) const {
  for (const StoredTensor& tensor : tensors()) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

const StoredTensor& Checkpoint::require(std::string_view name) const {
  if (const StoredTensor* tensor = find(name)) return *tensor;
  throw Error(path(), fmt::format("has no tensor {}", quoted_name(name)));
}

}  // namespace scant
