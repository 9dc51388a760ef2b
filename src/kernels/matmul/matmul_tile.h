#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/matmul/packed_matmul.h"
#include "kernels/matmul/row_codes.h"

namespace scant {

/// Memory that products take again and again: one per thread.
struct MatmulScratch {
  std::vector<uint8_t> codes, positions;
  std::vector<uint8_t> stored_codes;  // of a bitmask's rows, a byte each
  std::vector<float> blocks;          // scales of the rows' blocks
  std::vector<float> scales;          // the same per 32 or 16 columns, where kernels want them so
  std::vector<uint32_t> row_codes;
  std::vector<uint8_t> row_keep;
  CacheLines panels, outputs;
};

/// Some rows of a weight as kernels take them: codes where they are stored or decoded into
/// scratch, scales as float32.
class MatmulTile {
 public:
  MatmulTile(const MatmulWeight& weight, const PreparedInputs& x, MatmulScratch& scratch)
      : weight_(weight), x_(x), scratch_(scratch) {}

  /// out[t * stride + i] = row begin + i times token t. With many tokens a row of `out` takes whole
  /// panels.
  void multiply(const PackedMatmulRow& kernels, int64_t begin, int64_t count, Outputs out);

 private:
  /// Of what is stored, or kBytes where inputs of -128 ask for it.
  MatmulPath path() const;
  bool quads() const { return path() == MatmulPath::kQuads4 || path() == MatmulPath::kQuads8; }
  bool few() const { return x_.tokens_ < kMatmulManyTokens; }
  FewPath few_path() const { return *weight_.few_path(x_.lowest_); }
  /// Columns that kernels take at a time.
  int64_t step_columns(const PackedMatmulRow& kernels) const;
  /// Of a row that is decoded into scratch: whole steps, as kernels read them.
  int64_t decoded_columns(const PackedMatmulRow& kernels) const;
  void load_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count, WeightRows& rows);
  /// Scales of the blocks of some rows, row by row, times the unit.
  void block_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                    std::span<float> out) const;
  void expand_codes(const PackedMatmulRow& kernels, int64_t begin, int64_t count, WeightRows& rows);
  void use_stored_codes(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                        WeightRows& rows);
  void use_pieces(int64_t begin, int64_t count, WeightRows& rows);
  void use_masked_codes(int64_t begin, int64_t count, WeightRows& rows);
  void decode_bytes(const PackedMatmulRow& kernels, int64_t begin, int64_t count, WeightRows& rows);
  void run_few(const PackedMatmulRow& kernels, const WeightRows& rows, Outputs out);
  void run_many(const PackedMatmulRow& kernels, const WeightRows& rows, Outputs out);
  void correct_zero_points(int64_t begin, int64_t count, Outputs out);

  const MatmulWeight& weight_;
  const PreparedInputs& x_;
  MatmulScratch& scratch_;
  std::optional<RowCodes> row_reader_;
};

}  // namespace scant
