#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

#include "kernels/matmul/input_records.h"

namespace scant {

/// Memory of which a vector of up to 64 bytes lies in one line of the caches.
struct alignas(64) CacheLine {
  uint8_t bytes[64];
};

/// Inputs of few tokens, as InputRecords.
struct Int8Records {
  const uint8_t* data = nullptr;
  int64_t token_stride = 0;  ///< bytes
  /// Of each token, where FewTokens::reads_sums: sums of the inputs that meet each scale of a row
  /// of weights, and kScaleSlack zeros.
  const float* sums = nullptr;
  int64_t sum_stride = 0;
  int64_t tokens = 0;
  bool lowest = false;  ///< a code may be -128
};

/// Inputs of many tokens, in blocks of kInputBlock columns: all tokens' codes of the first block,
/// token by token, then those of the second, ...; zeros past the last column. A block stays in the
/// second-level cache; rows of a power of two of bytes would not.
struct Int8Matrix {
  const int16_t* wide = nullptr;     ///< for 8-bit codes of weights
  const uint8_t* shifted = nullptr;  ///< plus 128, for 4-bit ones, or for all
  const float* scales = nullptr;     ///< tokens x cols / 32
  int64_t cols = 0;                  ///< a multiple of 128
  int64_t tokens = 0;

  static constexpr int64_t kInputBlock = 512;
  /// Columns of the block of column c.
  static constexpr int64_t block_cols(int64_t cols, int64_t c) {
    const int64_t left = cols - c / kInputBlock * kInputBlock;
    return left < kInputBlock ? left : kInputBlock;
  }
  /// Where the code of a column of a token stands.
  static constexpr int64_t place(int64_t tokens, int64_t cols, int64_t token, int64_t c) {
    return c / kInputBlock * kInputBlock * tokens + token * block_cols(cols, c) + c % kInputBlock;
  }
};

/// Rows of integer codes. What the last step of a row needs, as many columns as a record of inputs
/// has, may be read past its end, whatever stands there: inputs are zero. So may
/// kScaleSlack scales.
inline constexpr int64_t kScaleSlack = 16;

struct WeightRows {
  int64_t rows = 0;
  int64_t cols = 0;
  const uint8_t* codes = nullptr;
  int64_t code_stride = 0;
  const uint8_t* positions = nullptr;
  int64_t position_stride = 0;
  int64_t plane_bytes = 0;  ///< of one bit of the ranks of a row
  /// Behind a bitmask (in `positions`): where each row's codes begin, the first of `codes` being
  /// `first_place`.
  const int64_t* places = nullptr;
  int64_t first_place = 0;
  const float* scales = nullptr;
  int64_t scale_stride = 0;
  /// Columns per scale. With few tokens 16, 32, 64, 128 or a multiple of a record's columns; with
  /// many 16 or a multiple of 32.
  int64_t scale_columns = 0;
  int code_bits = 0;
  /// Of codes of at most 6 bits, again and again where there are fewer.
  alignas(64) int8_t values[64] = {};
  bool two_complement = false;  ///< `values` are those of 4-bit integers
};

/// As ScaleStorage, in its order.
enum class StoredScale : uint8_t { kF32, kBF16, kF16, kE8M0, kE4M3 };

/// Bytes past the codes that expand_* take that are read as well.
inline constexpr int64_t kExpandSlack = 48;
inline constexpr int64_t kMaskedSlack = 128;
inline constexpr int64_t kPieceSlack = 64;

/// y[t * y_stride + r], assigned.
struct Outputs {
  float* y = nullptr;
  int64_t stride = 0;
};

/// Products with many tokens first lay rows out anew, outputs as lanes, so many at a time. They
/// need so many bytes of scratch per row and column, both rounded up to whole panels and to 128; a
/// row of y takes whole panels, whatever comes out past the last row.
inline constexpr int64_t kPanelOutputs = 16;
inline constexpr int64_t kPanelScratch = 3;
using ManyTokens = void(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                        Outputs y) noexcept;

constexpr int piece_offset(int bits) { return bits == 6 ? 64 : 1 << (bits - 1); }

/// Kinds of weights that kernels multiply with few tokens.
enum class FewPath : uint8_t {
  kBytes,        ///< 8-bit codes
  kNibbles,      ///< 4-bit codes
  kQuads4,       ///< 2:4 by ranks, of which the kept columns alone are multiplied, codes of 4 bits
  kQuads8,       ///< and of 8
  kMaskedBytes,  ///< behind a bitmask; up to kMaskedSlack bytes past codes and mask are read
  kMaskedNibbles,
  /// Codes of 2, 3, 5 or 6 bits, of values from -piece_offset() on, of which those of 3 and 5 bits
  /// differ by the same with and without their highest bit. Up to kPieceSlack bytes past a row are
  /// read.
  kPieces,
};
inline constexpr int kFewPaths = 7;

/// Products with few tokens, whose inputs are laid out so. Without a function for masked rows or
/// pieces they are decoded and taken as dense ones.
struct FewTokens {
  const InputRecords* inputs = nullptr;
  void (*run)(const WeightRows& w, const Int8Records& x, Outputs y) noexcept = nullptr;
  bool reads_sums = false;
};

/// One instruction set's products of packed rows with inputs.
struct PackedMatmulRow {
  const char* name;
  FewTokens few_tokens[kFewPaths];
  const FewTokens& few(FewPath path) const { return few_tokens[static_cast<int>(path)]; }
  /// The first four of them with many tokens.
  ManyTokens *many_bytes, *many_nibbles, *many_quads4, *many_quads8;
  /// Whether 8-bit codes of weights meet Int8Matrix::shifted, as 4-bit ones do, and not `wide`.
  bool many_bytes_shifted;
  /// Groups of 32 inputs as int8: scale = absmax / 127, code = x / scale to the nearest integer.
  void (*quantize_inputs)(const float* x, int64_t groups, int8_t* codes, float* scales) noexcept;
  /// to[i] = stored scale i times factor.
  void (*scales)(StoredScale type, const uint8_t* from, int64_t count, float factor,
                 float* to) noexcept;
  /// A row behind a bitmask: the next codes, a byte each, where bits of `mask` are set, and zeros
  /// elsewhere; 4-bit codes come out two to a byte. `out` takes whole 64 columns; so may up to
  /// kExpandSlack bytes past the codes be read.
  void (*expand_nibbles)(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                         uint8_t* out) noexcept;
  void (*expand_bytes)(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                       uint8_t* out) noexcept;
  /// The 8 / width codes (width 1, 2, 4 or 8) that each byte holds, a byte each.
  void (*split)(const uint8_t* from, int64_t bytes, int width, uint8_t* to) noexcept;
  /// codes[i] |= pieces[i] << shift, within a byte.
  void (*join)(const uint8_t* pieces, int64_t count, int shift, uint8_t* codes) noexcept;
  /// codes[i] = table[codes[i]], codes below `entries`, a power of two.
  void (*replace)(const int8_t* table, int entries, int64_t count, uint8_t* codes) noexcept;
  /// Weights w (rows x cols, float32, rows of w_stride) with float32 inputs.
  void (*floats)(const float* w, int64_t rows, int64_t cols, int64_t w_stride, const float* x,
                 int64_t tokens, int64_t x_stride, Outputs y) noexcept;
};

extern const PackedMatmulRow kPackedMatmulReference;
extern const PackedMatmulRow kPackedMatmulAvx2;
extern const PackedMatmulRow kPackedMatmulAvx512Vnni;

/// The one that runs now.
const PackedMatmulRow& packed_matmul_row();

}  // namespace scant
