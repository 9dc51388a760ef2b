#include "kernels/matmul/packed_matmul.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "kernels/matmul/matmul_tile.h"
#include "kernels/select.h"
#include "ops/gemm.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<PackedMatmulRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512Vnni, &kPackedMatmulAvx512Vnni}, {Isa::kAvx2, &kPackedMatmulAvx2},
#endif
      {Isa::kPortable, &kPackedMatmulReference},
});

constexpr int64_t kRowsOfManyTokens = kMatmulPiece;
static_assert(kRowsOfManyTokens % kPanelOutputs == 0);

/// Rows at a time whose decoded codes stay in the first-level cache, or in the second for many
/// tokens; of short rows as many as make what is done once for all of them small.
int64_t rows_at_a_time(int64_t cols, int64_t tokens) {
  constexpr int64_t kLeast = 16, kMost = 128, kWeights = 1 << 15;
  if (tokens >= kMatmulManyTokens) return kRowsOfManyTokens;
  return std::clamp(kWeights / std::max<int64_t>(1, cols) / kLeast * kLeast, kLeast, kMost);
}

void check(const MatmulWeight& weight, const PreparedInputs& x, OutputRange outputs, MatrixView y) {
  if (x.cols() != weight.cols() || y.rows != x.tokens() || y.cols != weight.rows()) {
    throw Error("packed matmul",
                fmt::format("inputs {} x {} and weights {} x {} do not give {} x {}", x.tokens(),
                            x.cols(), weight.rows(), weight.cols(), y.rows, y.cols));
  }
  if (outputs.begin < 0 || outputs.begin % matmul_unit(x.tokens()) != 0 ||
      outputs.end < outputs.begin || outputs.end > weight.rows()) {
    throw Error("packed matmul",
                fmt::format("outputs {} to {} of {}; expected a multiple of {} "
                            "to begin with",
                            outputs.begin, outputs.end, weight.rows(), matmul_unit(x.tokens())));
  }
}

void put(ConstMatrixView tile, int64_t begin, int64_t count, MatrixView y, MatmulOutput output) {
  for (int64_t t = 0; t < y.rows; ++t) {
    float* to = y.row(t) + begin;
    const float* from = tile.row(t);
    if (output == MatmulOutput::kAssign) {
      std::copy_n(from, count, to);
    } else {
      for (int64_t i = 0; i < count; ++i) to[i] += from[i];
    }
  }
}

// Rows are decoded whole pieces at a time, also of a piece that is not wanted whole: sums of a
// product of matrices depend on its shape.
void multiply_floats(const MatmulWeight& weight, ConstMatrixView x, OutputRange outputs,
                     MatrixView y, MatmulOutput output) {
  const PackedMatmulRow& kernels = packed_matmul_row();
  const bool many = x.rows >= kMatmulManyTokens;
  const int64_t step = rows_at_a_time(x.cols, x.rows);
  Matrix rows(std::min(step, weight.rows()), weight.cols());
  Matrix tile(x.rows, rows.rows());
  for (int64_t begin = outputs.begin; begin < outputs.end; begin += step) {
    const int64_t count = std::min(step, (many ? weight.rows() : outputs.end) - begin);
    const MatrixView decoded = rows.view().rows_from(0, count);
    weight.decode_rows(begin, decoded);
    if (many) {
      gemm(x, decoded, tile.view().cols_from(0, count), {.b = Transpose::kYes});
    } else {
      kernels.floats(decoded.data, count, decoded.cols, decoded.stride, x.data, x.rows, x.stride,
                     {tile.data(), tile.cols()});
    }
    put(tile.view(), begin, std::min(count, outputs.end - begin), y, output);
  }
}

void multiply_integers(const MatmulWeight& weight, const PreparedInputs& x, OutputRange outputs,
                       MatrixView y, MatmulOutput output) {
  const PackedMatmulRow& kernels = packed_matmul_row();
  const int64_t step = rows_at_a_time(x.cols(), x.tokens());
  thread_local MatmulScratch scratch;  // allocating would take longer than a small product
  const MatrixView tile(resize_lines<float>(scratch.outputs, x.tokens() * step), x.tokens(), step);
  MatmulTile rows(weight, x, scratch);
  for (int64_t begin = outputs.begin; begin < outputs.end; begin += step) {
    const int64_t count = std::min(step, outputs.end - begin);
    if (x.tokens() < kMatmulManyTokens && output == MatmulOutput::kAssign) {
      rows.multiply(kernels, begin, count, {y.data + begin, y.stride});
      continue;
    }
    rows.multiply(kernels, begin, count, {tile.data, step});
    put(tile, begin, count, y, output);
  }
}

}  // namespace

OutputRange piece_outputs(const MatmulWeight& weight, int64_t piece) {
  return {piece * kMatmulPiece, std::min((piece + 1) * kMatmulPiece, weight.rows())};
}

void packed_matmul(const MatmulWeight& weight, const PreparedInputs& x, OutputRange outputs,
                   MatrixView y, MatmulOutput output) {
  check(weight, x, outputs, y);
  if (x.quantized() && weight.path() != MatmulPath::kFloats) {
    multiply_integers(weight, x, outputs, y, output);
  } else {
    multiply_floats(weight, x.values(), outputs, y, output);
  }
}

const PackedMatmulRow& packed_matmul_row() { return select_kernel(kTable); }

std::string_view packed_matmul_kernel() { return packed_matmul_row().name; }

}  // namespace scant
