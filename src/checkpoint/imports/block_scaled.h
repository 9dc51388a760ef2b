#pragma once

#include "checkpoint/imports/imported_weight.h"

namespace scant {

/// FP8 (E4M3) values with one scale per block of rows x columns, for which there is no number
/// format: they are read as values only. Value = code x scale, in float32.
class BlockScaledFloat8 final : public ImportedWeight {
 public:
  /// `codes`: F8_E4M3, outputs x inputs; `scales`: F32, BF16 or F16, one per block, blocks at the
  /// edges may be smaller. Throws Error unless the shapes fit.
  BlockScaledFloat8(const Checkpoint& folder, ImportedPart codes, ImportedPart scales,
                    int64_t block_rows, int64_t block_cols);
  void read_rows(int64_t begin, MatrixView out) const override;

 private:
  ImportedPart codes_, scales_;
  ScaleStorage storage_;
  int64_t block_rows_, block_cols_;
};

}  // namespace scant
