#include "compress/export/gguf_tensors.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/gguf.h"
#include "compress/export/dense_target.h"
#include "compress/tensor_output.h"

namespace scant {
namespace {

constexpr int64_t kPieceValues = int64_t{1} << 20;

/// In the folder's own spelling: base models leave the prefix out.
const StoredTensor* find_stored(const Checkpoint& checkpoint, const GgufArchitecture& kind,
                                const std::string& name) {
  if (const StoredTensor* found = checkpoint.find(name)) return found;
  if (!name.starts_with(kind.prefix)) return nullptr;
  return checkpoint.find(std::string_view(name).substr(kind.prefix.size()));
}

const GgufType* plain_type(DType dtype) { return find_gguf_type(dtype_name(dtype)); }

bool is_exact(const Checkpoint& checkpoint, const StoredTensor& tensor, DType dtype) {
  const int64_t row = std::max<int64_t>(tensor.row_size(), 1);
  const int64_t step = std::max<int64_t>(1, kPieceValues / row);
  std::vector<float> values;
  for (int64_t begin = 0; begin < tensor.rows(); begin += step) {
    const int64_t count = std::min(step, tensor.rows() - begin);
    values.resize(static_cast<size_t>(count * row));
    checkpoint.read_rows(tensor, begin, count, values);
    if (!is_exact_in(values, dtype)) return false;
  }
  return true;
}

class Planner {
 public:
  Planner(const ExportJob& job, const GgufMetadata& metadata, bool exact)
      : job_(job), kind_(*metadata.architecture), metadata_(metadata), exact_(exact) {}

  std::vector<GgufTensorJob> plan() {
    for (const GgufName& name : kind_.model_names) {
      const bool head = name.gguf == "output";
      if (head && job_.model.facts().tied_head) continue;
      add(name, std::string(name.gguf), std::string(name.huggingface));
    }
    if (!metadata_.rope_factors.empty()) {
      const Shape shape = {static_cast<int64_t>(metadata_.rope_factors.size())};
      GgufTensorJob factors;
      factors.planned = {std::string(kRopeFactors), shape, plain_type(DType::kF32)};
      tensors_.push_back(std::move(factors));
    }
    for (int64_t layer = 0; layer < job_.model.facts().layers; ++layer) {
      for (const GgufName& name : kind_.layer_names) {
        add(name, fmt::format("blk.{}.{}", layer, name.gguf),
            fmt::format("{}{}.{}", kind_.layers, layer, name.huggingface));
      }
    }
    return std::move(tensors_);
  }

 private:
  void add(const GgufName& name, const std::string& gguf, const std::string& huggingface) {
    for (const char* suffix : {".weight", ".bias"}) {
      const StoredTensor* stored =
          find_stored(job_.model.checkpoint(), kind_, huggingface + suffix);
      if (stored == nullptr) continue;
      GgufTensorJob tensor;
      tensor.stored = stored;
      tensor.transposed = name.transposed && stored->shape.size() == 2;
      if (name.rows != GgufRows::kSame) tensor.interleaved_rows = job_.model.facts().head_dim;
      const auto weight = std::ranges::find(job_.weights, stored->name, &ExportedWeight::tensor);
      if (weight != job_.weights.end()) tensor.weight = &*weight;
      tensor.planned = {gguf + suffix, stored->shape, nullptr};
      if (tensor.transposed) std::ranges::reverse(tensor.planned.shape);
      choose_type(tensor);
      tensors_.push_back(std::move(tensor));
    }
  }

  void choose_type(GgufTensorJob& tensor) const {
    const Checkpoint& checkpoint = job_.model.checkpoint();
    const GgufType*& type = tensor.planned.type;
    if (tensor.weight != nullptr && !tensor.weight->entry.spec.format.is_plain()) {
      tensor.encoding = &gguf_encoding(*tensor.weight);
      type = tensor.encoding->type;
    } else if (tensor.planned.shape.size() == 1) {
      type = plain_type(DType::kF32);  // readers take vectors as they compute with them
    } else if (job_.options.dtype) {
      type = plain_type(*job_.options.dtype);
    } else if (tensor.weight != nullptr) {
      const DType dtype = tensor.weight->entry.dtype;
      const bool narrow = exact_ && is_exact(checkpoint, *tensor.stored, dtype);
      type = plain_type(narrow ? dtype : DType::kF32);
    } else if (const GgufTensor* source = checkpoint.gguf_tensor(*tensor.stored);
               source != nullptr && !source->type->dtype) {
      type = source->type;
      tensor.blocks = source->data;
    } else {
      const auto dtype = tensor.stored->dtype;
      type = plain_type(dtype && is_weight_dtype(*dtype) ? *dtype : DType::kF32);
    }
  }

  const ExportJob& job_;
  const GgufArchitecture& kind_;
  const GgufMetadata& metadata_;
  bool exact_;
  std::vector<GgufTensorJob> tensors_;
};

/// Rows of whole heads into the order of the file.
void interleave(std::span<float> values, int64_t row_size, int64_t head) {
  const std::vector<float> before(values.begin(), values.end());
  const auto rows = static_cast<int64_t>(values.size()) / row_size;
  for (int64_t row = 0; row < rows; ++row) {
    std::copy_n(before.begin() + huggingface_row(row, head) * row_size, row_size,
                values.begin() + row * row_size);
  }
}

}  // namespace

std::vector<GgufTensorJob> gguf_tensors(const ExportJob& job, const GgufMetadata& metadata,
                                        bool exact) {
  return Planner(job, metadata, exact).plan();
}

void GgufTensorWriter::write(const GgufTensorJob& tensor) {
  writer_.begin_tensor(tensor.planned.name);
  if (tensor.stored == nullptr) {
    writer_.append(std::as_bytes(std::span(metadata_.rope_factors)));
  } else if (tensor.blocks != nullptr) {
    writer_.append({tensor.blocks, tensor.planned.bytes()});
  } else if (tensor.encoding != nullptr) {
    write_codes(tensor);
  } else {
    write_values(tensor);
  }
}

void GgufTensorWriter::write_codes(const GgufTensorJob& tensor) {
  const auto matrix = job_.model.checkpoint().packed(*tensor.stored);
  const auto levels = GgufLevels::of(matrix->spec().format);
  const GgufType& type = *tensor.planned.type;
  const int64_t blocks = matrix->cols() / type.elements;
  const auto row_bytes = static_cast<size_t>(blocks) * type.bytes;
  const int64_t step = std::max<int64_t>(1, kPieceValues / static_cast<int64_t>(row_bytes));
  std::vector<std::byte> bytes;
  for (int64_t begin = 0; begin < matrix->rows(); begin += step) {
    const int64_t count = std::min(step, matrix->rows() - begin);
    bytes.resize(static_cast<size_t>(count) * row_bytes);
    context_.threads.parallel_for(count, [&](int64_t r) {
      GgufRow row(*tensor.weight, *matrix, levels);
      row.read(tensor.interleaved_rows == 0 ? begin + r
                                            : huggingface_row(begin + r, tensor.interleaved_rows));
      std::byte* out = bytes.data() + static_cast<size_t>(r) * row_bytes;
      for (int64_t block = 0; block < blocks; ++block) {
        tensor.encoding->encode(row, block * type.elements, out + block * type.bytes);
      }
    });
    writer_.append(bytes);
  }
}

void GgufTensorWriter::write_values(const GgufTensorJob& tensor) {
  const StoredTensor& stored = *tensor.stored;
  const Checkpoint& checkpoint = job_.model.checkpoint();
  const int64_t row_size = std::max<int64_t>(stored.row_size(), 1);
  const int64_t rows = stored.rows();
  bool exact = true;
  if (tensor.transposed) {  // only as a whole
    Matrix values(rows, row_size);
    checkpoint.read_rows(stored, 0, rows, values.values());
    exact = append(stored_orientation(true, std::move(values)).values(), tensor);
  } else {
    const int64_t unit = std::max<int64_t>(tensor.interleaved_rows, 1);
    const int64_t step = std::max<int64_t>(1, kPieceValues / row_size / unit) * unit;
    std::vector<float> values;
    for (int64_t begin = 0; begin < rows; begin += step) {
      const int64_t count = std::min(step, rows - begin);
      values.resize(static_cast<size_t>(count * row_size));
      checkpoint.read_rows(stored, begin, count, values);
      if (tensor.interleaved_rows != 0) interleave(values, row_size, tensor.interleaved_rows);
      exact &= append(values, tensor);
    }
  }
  rounded_ += exact ? 0 : 1;
}

bool GgufTensorWriter::append(std::span<const float> values, const GgufTensorJob& tensor) {
  bool inexact = false;
  writer_.append(round_values(values, *tensor.planned.type->dtype, tensor.stored->name, inexact));
  return !inexact;
}

}  // namespace scant
