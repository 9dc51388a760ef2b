#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "formats/packed.h"
#include "kernels/matmul/rows.h"

namespace scant {

/// Packed weights times inputs, y = x W^T, without unpacking the weights into memory. In three
/// parts, so that each is done as seldom as possible:
///
///     const MatmulWeight weight(packed);            // once per model: how its codes are read
///     PreparedInputs inputs;                        // kept by a caller that decodes: keeps memory
///     inputs.set_int8(x, {&q, &k, &v});             // once per x, for all weights that read it
///     threads.parallel_for(matmul_pieces(weight), [&](int64_t piece) {
///       packed_matmul(weight, inputs, piece_outputs(weight, piece), y);   // y's columns only
///     });
///
/// Results do not depend on how outputs are cut into calls. Inputs and weights may be read by
/// several threads at once.

/// How codes of a weight are multiplied.
enum class MatmulPath : uint8_t {
  kFloats,   ///< rows are decoded to float32
  kBytes,    ///< 8-bit codes as they are stored, or rows decoded to int8
  kNibbles,  ///< 4-bit codes as they are stored, or a bitmask's expanded
  kQuads4,   ///< 2:4: kept columns only
  kQuads8,
};

/// A packed matrix and how its codes are read. Where the matrix has a column order, inputs are
/// taken in that order and rows are decoded in it. Copies share the bytes.
class MatmulWeight {
 public:
  explicit MatmulWeight(PackedMatrix matrix);

  const PackedMatrix& matrix() const { return matrix_; }
  int64_t rows() const { return matrix_.rows(); }
  int64_t cols() const { return matrix_.cols(); }
  /// Of int8 inputs. Float inputs always take kFloats.
  MatmulPath path() const { return path_; }

  /// How products of few int8 inputs read it now; nothing with kFloats. `lowest`: an input is -128.
  std::optional<FewPath> few_path(bool lowest) const;
  /// Whether products correct for zero points, or for offsets of blocks.
  bool has_zero_points() const { return zero_points_; }

  /// Columns that share a scale: of a block, or all of a row.
  int64_t block_columns() const;
  /// Columns per scale as kernels that take `step` columns at a time follow them.
  int64_t scale_columns(int64_t step, bool few) const;

  /// Values of rows [begin, begin + out.rows), as PackedMatrix::unpack_rows() but faster and in
  /// the order that is stored.
  void decode_rows(int64_t begin, MatrixView out) const;

 private:
  friend class MatmulTile;

  PackedMatrix matrix_;
  MatmulPath path_ = MatmulPath::kFloats;
  bool direct_ = false;      // kernels read the stored codes
  bool masked_ = false;      // kernels expand codes by their bitmask
  bool pieces_ = false;      // kernels for few tokens join the pieces of dense codes
  bool all_scales_ = false;  // every block has one, in order
  float tensor_scale_ = 1.0f;
  // Values are codes minus `shift_`; zero points (offsets) are corrected for.
  bool zero_points_ = false;
  float unit_ = 1.0f;  // values are integers times this power of two
  int shift_ = 0;
  int8_t values_[256] = {};  // the integer of each code, again and again
};

using CacheLines = std::vector<CacheLine>;
/// Resized to hold so many; what they are is not kept.
template <typename T>
T* resize_lines(CacheLines& lines, int64_t count) {
  const auto bytes = static_cast<size_t>(count) * sizeof(T);
  lines.resize((bytes + sizeof(CacheLine) - 1) / sizeof(CacheLine));
  return reinterpret_cast<T*>(lines.data());
}

/// Inputs of a layer, tokens x columns.
class PreparedInputs {
 public:
  using Readers = std::span<const MatmulWeight* const>;

  /// float32 as they are; `x` must stay.
  void set_floats(ConstMatrixView x);
  /// Symmetric int8 with a float32 scale per 32 columns of a token: scale = absmax / 127, code =
  /// x / scale to the nearest integer.
  void set_int8(ConstMatrixView x, Readers readers);
  void set_int8(ConstMatrixView x, std::initializer_list<const MatmulWeight*> readers) {
    set_int8(x, Readers(readers.begin(), readers.size()));
  }
  /// Codes (tokens x cols) that are there already, and one scale per token.
  void set_int8_tokens(std::span<const int8_t> codes, std::span<const float> scales,
                       Readers readers);

  int64_t tokens() const { return tokens_; }
  int64_t cols() const { return cols_; }
  /// Whether they are int8.
  bool quantized() const { return quantized_; }
  /// The inputs as float32: as given, or codes times scales if a reader asked for them.
  ConstMatrixView values() const { return quantized_ ? values_.view() : floats_; }
  int8_t code(int64_t token, int64_t col) const;
  /// Of the codes of 32 columns.
  float scale(int64_t token, int64_t col) const;

 private:
  friend class MatmulTile;

  void arrange(Readers readers);
  void arrange_few(Readers readers);
  void arrange_many(Readers readers);
  /// Sums of the inputs of blocks of columns, token by token, kScaleSlack zeros after each.
  struct BlockSums {
    int64_t width;   ///< columns, a multiple of 16
    int64_t stride;  ///< of tokens
    std::vector<float> sums;
  };
  void add_block_sums(int64_t width);
  /// Those that arrange() made for a reader.
  const BlockSums& block_sums(int64_t width) const;

  int64_t tokens_ = 0;
  int64_t cols_ = 0;
  int64_t padded_ = 0;  // columns, to whole records of every arrangement
  bool quantized_ = false;
  bool lowest_ = false;  // a code is -128
  ConstMatrixView floats_;
  std::vector<int8_t> codes_;          // tokens x padded
  std::vector<float> scales_;          // tokens x padded / 32
  std::vector<BlockSums> block_sums_;  // the first `block_widths_` of them
  size_t block_widths_ = 0;
  CacheLines records_[kFewPaths];  // of few tokens
  std::vector<int16_t> in_order_;  // of many: codes, and codes + 128
  std::vector<uint8_t> shifted_;
  Matrix values_;  // codes times scales, for weights without integer codes
};

/// A range of outputs: rows of the weight, columns of y.
struct OutputRange {
  int64_t begin = 0;
  int64_t end = 0;
};
/// Ranges of a good size for any number of tokens.
inline constexpr int64_t kMatmulPiece = 128;
/// Tokens from which on a product of matrices is worth its own passes over the inputs.
inline constexpr int64_t kMatmulManyTokens = 8;
/// A range begins at a multiple of this.
inline constexpr int64_t matmul_unit(int64_t tokens) {
  return tokens < kMatmulManyTokens ? 16 : kMatmulPiece;
}
inline int64_t matmul_pieces(const MatmulWeight& weight) {
  return (weight.rows() + kMatmulPiece - 1) / kMatmulPiece;
}
OutputRange piece_outputs(const MatmulWeight& weight, int64_t piece);

enum class MatmulOutput : uint8_t { kAssign, kAdd };

/// Columns `outputs` of y (+)= x W^T; x tokens x W.cols(), y tokens x W.rows(). Products of int8
/// inputs with integer codes are summed exactly over each run of columns that share both scales;
/// all else is float32. Throws Error if shapes do not fit or the range begins elsewhere than at a
/// multiple of matmul_unit(). Single-threaded.
void packed_matmul(const MatmulWeight& weight, const PreparedInputs& x, OutputRange outputs,
                   MatrixView y, MatmulOutput output = MatmulOutput::kAssign);

/// The row of the kernel table that runs now, for messages and tests.
std::string_view packed_matmul_kernel();

}  // namespace scant
