#pragma once

// Included by ISA files: declarations only.
#include <cstdint>

namespace scant {

/// Memory of which a vector of up to 64 bytes lies in one line of the caches.
struct alignas(64) CacheLine {
  uint8_t bytes[64];
};

/// Inputs as int8, one run of records per token and arrangement. Past the last column stand zeros,
/// so that kernels take whole records. x_i is codes[i] times the scale of its 32 columns.
///
///   natural   per 64 columns  | 64 codes | 8 scales |
///   halves    per 64 columns  | 32 codes of even columns | 32 of odd columns |
///                             | 8 int32: 8 times the sum of 8 columns each | 8 scales |
///   quads4    per 128 columns | x[4q] | x[4q+1] | x[4q+2] | x[4q+3]: 32 bytes each, plus 128 |
///                             | 8 scales | 32 bytes unused |
///   quads8    per 128 columns | the same, signed, quads in the order 0-7, 16-23, 8-15, 24-31 |
///                             | 16 scales |
///
/// Scales are laid out as the lanes of a vector of 8 sums need them: each lane holds the scale of
/// the columns that it sums (8 of them; 16 in quads4).
inline constexpr int64_t kNaturalRecord = 96;
inline constexpr int64_t kHalvesRecord = 128;
inline constexpr int64_t kQuads4Record = 192;
inline constexpr int64_t kQuads8Record = 192;

struct Int8Records {
  const uint8_t* data = nullptr;
  int64_t token_stride = 0;  ///< bytes
  int64_t tokens = 0;
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

/// How finely scales of weights are given to kernels.
enum class ScaleStep : uint8_t {
  kGroup,  ///< one per `group` columns, a multiple of what a kernel takes at a time
  k32,     ///< one per 32 columns
  k16,     ///< one per 16 columns
};

/// Rows of integer codes. What the last step of a row needs (64 columns, 128 of quads) may be read
/// past its end, whatever stands there: inputs are zero. Scales reach to the end of the last step.
struct WeightRows {
  int64_t rows = 0;
  int64_t cols = 0;
  const uint8_t* codes = nullptr;
  int64_t code_stride = 0;
  const uint8_t* positions = nullptr;
  int64_t position_stride = 0;
  int64_t plane_bytes = 0;  ///< of one bit of the ranks of a row
  const float* scales = nullptr;
  int64_t scale_stride = 0;
  ScaleStep step = ScaleStep::kGroup;
  int64_t group = 0;                   ///< with kGroup
  alignas(32) int8_t values[16] = {};  ///< of 4-bit codes
  bool two_complement = false;         ///< `values` are those of 4-bit integers
};

/// As ScaleStorage, in its order.
enum class StoredScale : uint8_t { kF32, kBF16, kF16, kE8M0, kE4M3 };

/// Bytes past the codes that expand_* take that are read as well.
inline constexpr int64_t kExpandSlack = 48;

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

/// One instruction set's products of packed rows with inputs.
struct PackedMatmulRow {
  const char* name;
  /// 8-bit codes; `wide`: a code of the inputs may be -128.
  void (*bytes)(const WeightRows& w, const Int8Records& natural, bool wide, Outputs y) noexcept;
  /// 4-bit codes.
  void (*nibbles)(const WeightRows& w, const Int8Records& halves, Outputs y) noexcept;
  /// 2:4 by ranks, codes of 4 and 8 bits. The kept columns alone are multiplied.
  void (*quads4)(const WeightRows& w, const Int8Records& quads4, Outputs y) noexcept;
  void (*quads8)(const WeightRows& w, const Int8Records& quads8, Outputs y) noexcept;
  /// The same four for many tokens.
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
