#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/packed.h"
#include "kernels/matmul/rows.h"

namespace scant {

/// Reads rows of codes as bytes, quickly: of the layouts dense, n_of_m with 2:4 and bitmask.
/// Pruned weights get the code of zero.
class RowCodes {
 public:
  /// Whether rows of this can be read: codes of at most 8 bits and, where weights are pruned, a
  /// code whose value is zero at every scale.
  static bool can_read(const PackedSpec& spec);

  /// `matrix` must stay.
  explicit RowCodes(const PackedMatrix& matrix);
  void read(int64_t row, std::span<uint8_t> codes);

 private:
  void read_quads(int64_t row, std::span<uint8_t> codes);
  void read_masked(int64_t row, std::span<uint8_t> codes);
  /// Codes [first, first + out.size()) of the run of `total` that starts at `run`.
  void unpack(const uint8_t* run, int64_t total, int64_t first, std::span<uint8_t> out);

  const PackedMatrix& matrix_;
  const PackedMatmulRow& kernels_;
  int bits_;
  uint8_t zero_ = 0;
  enum class Layout : uint8_t { kDense, kQuads, kMasked } layout_;
  std::vector<uint8_t> kept_, piece_;
};

/// PackedMatrix::scale() of every block of a row; a record of a super-block is read once.
void read_row_scales(const PackedMatrix& matrix, int64_t row, std::span<BlockScale> scales);

}  // namespace scant
