#include "compress/tensor_output.h"

#include <algorithm>
#include <vector>

namespace scant {

Matrix stored_orientation(bool transposed, Matrix values) {
  if (!transposed) return values;
  Matrix result(values.cols(), values.rows());
  for (int64_t r = 0; r < values.rows(); ++r) {
    for (int64_t c = 0; c < values.cols(); ++c) result(c, r) = values(r, c);
  }
  return result;
}

Matrix unpacked_values(const PackedMatrix& matrix, Context& context) {
  Matrix values(matrix.rows(), matrix.cols());
  constexpr int64_t kRows = 16;
  context.threads.parallel_for((values.rows() + kRows - 1) / kRows, [&](int64_t piece) {
    const int64_t begin = piece * kRows;
    const int64_t count = std::min(kRows, values.rows() - begin);
    matrix.unpack_rows(begin, values.view().rows_from(begin, count));
  });
  return values;
}

void append_values(FolderWriter& writer, std::span<const float> values, DType dtype) {
  if (dtype == DType::kF32) {
    writer.append(std::as_bytes(values));
    return;
  }
  constexpr size_t kPiece = size_t{1} << 16;
  std::vector<std::byte> bytes(kPiece * dtype_size(dtype));
  for (size_t begin = 0; begin < values.size(); begin += kPiece) {
    const auto piece = values.subspan(begin, std::min(kPiece, values.size() - begin));
    narrow(piece, dtype, bytes.data());
    writer.append(std::span(bytes).first(piece.size() * dtype_size(dtype)));
  }
}

DType write_simulated(FolderWriter& writer, const std::string& tensor,
                      std::span<const float> values, std::optional<DType> dtype) {
  const DType taken = dtype && is_exact_in(values, *dtype) ? *dtype : DType::kF32;
  writer.begin_tensor(tensor, taken);
  append_values(writer, values, taken);
  return taken;
}

DType copy_tensor(const Checkpoint& checkpoint, const StoredTensor& tensor, FolderWriter& writer) {
  const TensorView raw = checkpoint.raw(tensor);
  if (raw.data != nullptr) {
    writer.begin_tensor(tensor.name, raw.dtype);
    writer.append({raw.data, raw.bytes()});
    return raw.dtype;
  }
  writer.begin_tensor(tensor.name, DType::kF32);
  const int64_t step =
      std::max<int64_t>(1, (int64_t{1} << 20) / std::max<int64_t>(tensor.row_size(), 1));
  std::vector<float> values;
  for (int64_t row = 0; row < tensor.rows(); row += step) {
    const int64_t count = std::min(step, tensor.rows() - row);
    values.resize(static_cast<size_t>(count * tensor.row_size()));
    checkpoint.read_rows(tensor, row, count, values);
    writer.append(std::as_bytes(std::span<const float>(values)));
  }
  return DType::kF32;
}

}  // namespace scant
