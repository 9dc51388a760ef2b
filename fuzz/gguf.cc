// A whole GGUF file: refused with one line, or every tensor can be read.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "checkpoint/gguf_checkpoint.h"
#include "core/error.h"

namespace {

void require(bool condition) {
  if (!condition) __builtin_trap();
}

void read_model(std::span<const std::byte> file) {
  const auto model = scant::open_gguf_bytes(file, "input");
  require(model->path() == "input" && model->container().starts_with("GGUF v"));
  require(!model->tokenizer_files());  // its vocabulary is in the file
  require(model->config().is_object() || model->tensors().empty());
  require(model->gguf_vocabulary() != nullptr || model->config().is_object());
  require(!model->config().dump().empty());
  for (const scant::StoredTensor& tensor : model->tensors()) {
    require(&model->require(tensor.name) == &tensor);
    std::vector<float> row(static_cast<size_t>(tensor.row_size()));
    for (int64_t r = 0; r < tensor.rows(); ++r) model->read_rows(tensor, r, 1, row);
    const scant::TensorView raw = model->raw(tensor);
    require(raw.data == nullptr || raw.bytes() == static_cast<size_t>(tensor.bytes));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  require(!scant::is_gguf_file("/dev/null"));
  try {
    read_model(std::as_bytes(std::span(data, size)));
  } catch (const scant::Error& error) {
    const std::string_view text = error.what();
    require(text.starts_with("input") && text.find('\n') == std::string_view::npos);
  }
  return 0;
}
