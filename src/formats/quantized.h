#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "formats/mask.h"
#include "formats/number_format.h"

namespace scant {

/// A quantized matrix, unpacked: one code per value, one scale per block. The scalar definition
/// that solvers, layouts and kernels share. A block is what shares one scale: the whole tensor, a
/// row, or a group of a row; blocks are numbered row by row.
struct QuantizedMatrix {
  NumberFormat format;
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<uint8_t> codes;        ///< rows x cols, the element's code in the low bits
  std::vector<float> scales;         ///< one per block, as stored (after rounding)
  std::vector<int32_t> zero_points;  ///< one per block, for `:asym` only
  /// Of elements with super-blocks, whose scales are integers: an integer offset per block (empty
  /// without offsets), and what the blocks of a super-block share, numbered row by row.
  std::vector<float> offsets;
  std::vector<SuperScale> super_scales;
  /// NVFP4's second level: one for a weight, one per row for activations; empty elsewhere.
  std::vector<float> tensor_scales;
  /// What some methods multiply columns by after decoding: one per column, as stored (float16);
  /// empty: 1.
  std::vector<float> column_factors;
  /// The column that stands at each place of the codes, so that groups are runs of columns in
  /// another order (act-order, desc_act); empty: its own.
  std::vector<int32_t> column_order;
  Matrix plain;  ///< the values themselves for fp32, bf16, fp16

  int64_t blocks_per_row() const;  ///< 1 for :channel and :token; 0 for :tensor and plain formats
  int64_t block_of(int64_t row, int64_t col) const;
  /// What codes of `row` in `block` are multiplied by: stored scale times tensor scale (or the
  /// scale of the super-block) in float32, zero point and offset.
  BlockScale block_scale(int64_t row, int64_t block) const;
  /// The super-block of a block of `row`.
  int64_t super_block_of(int64_t row, int64_t block) const;
};

/// How to choose scales and codes.
struct QuantizeOptions {
  /// Only kept values take part: scales are chosen from them, pruned ones get the code of zero
  /// (where an element has none, the nearest: the mask alone says that they are zero). Null: all.
  const Mask* mask = nullptr;
  /// Reuse these scales (from another quantization of the same shape, element and granularity)
  /// instead of choosing: "at the dense block's scale". Column factors are not applied.
  const QuantizedMatrix* scales_from = nullptr;
  /// One weight >= 0 per column: scales are searched, as by `:mse` in every format with codes, for
  /// the least weighted sum of squared errors. Empty: all 1, and no search without `:mse` (formats
  /// with super-blocks are always searched).
  std::span<const float> importance = {};
  /// NVFP4's second level, measured beforehand; nothing: from the values. Larger ones saturate.
  std::optional<float> tensor_scale = {};
  uint64_t seed = 0;    ///< for `:stoch`
  uint64_t stream = 0;  ///< for `:stoch`: distinguishes tensors
};

/// Throws Error naming the first value that is NaN or infinite. On the threads of `context` or, if
/// null, here.
void check_finite(ConstMatrixView values, Context* context);

/// Round to nearest (even), or `:mse`, or `:stoch`, by `format`. Throws Error if a value is NaN or
/// infinite, naming its index. Deterministic for any number of threads.
QuantizedMatrix quantize(ConstMatrixView values, const NumberFormat& format,
                         const QuantizeOptions& options, Context& context);

/// code times scale (times the column's factor) in float32, per value, every column at its own
/// place. `out` has the same shape.
void dequantize(const QuantizedMatrix& quantized, MatrixView out);

/// values -> dequantize(quantize(values)), in place, row by row and without codes: what activations
/// go through. Equal to the two steps bit for bit. Single-threaded.
void quantize_in_place(MatrixView values, const NumberFormat& format,
                       const QuantizeOptions& options);

}  // namespace scant
