#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/matmul/packed_matmul.h"
#include "kernels/matmul/row_codes.h"

namespace scant {

/// A few rows of a weight as kernels take them: codes where they are stored or decoded into
/// scratch, scales as float32.
class MatmulTile {
 public:
  MatmulTile(const MatmulWeight& weight, const PreparedInputs& x) : weight_(weight), x_(x) {}

  /// out[t * stride + i] = row begin + i times token t.
  void multiply(const PackedMatmulRow& kernels, int64_t begin, int64_t count, Outputs out);

 private:
  /// Of what is stored, or kBytes where inputs of -128 ask for it.
  MatmulPath path() const;
  void load_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count, WeightRows& rows);
  /// Scales of the blocks of some rows, row by row, times the unit.
  void block_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                    std::span<float> out) const;
  void expand_codes(const PackedMatmulRow& kernels, int64_t begin, int64_t count, WeightRows& rows);
  void use_stored_codes(int64_t begin, WeightRows& rows) const;
  void decode_bytes(int64_t begin, int64_t count, WeightRows& rows);
  void correct_zero_points(int64_t begin, int64_t count, Outputs out);
  /// Columns that share a scale.
  int64_t block_width() const;

  const MatmulWeight& weight_;
  const PreparedInputs& x_;
  std::vector<uint8_t> codes_;
  std::vector<uint8_t> last_codes_;  // of a row at the end of the part
  std::vector<float> blocks_;        // scales of the rows' blocks
  std::vector<float> scales_;        // the same per 32 or 16 columns, where kernels want them so
  std::vector<float> group_sums_;    // tokens x blocks of the inputs' values
  std::optional<RowCodes> row_reader_;
  std::vector<uint32_t> row_codes_;
  std::vector<uint8_t> row_keep_;
};

}  // namespace scant
