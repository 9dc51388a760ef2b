#pragma once

#include <cstdint>
#include <optional>

#include "core/context.h"
#include "core/tensor.h"
#include "formats/patterns/n_of_m.h"
#include "formats/quantized.h"
#include "ops/quantize/quantize_plan.h"
#include "ops/sparsify/n_of_m_kernels.h"

namespace scant {

/// Pruning by N:M, quantization, or both, of a matrix row by row: pieces of a row pass through the
/// first-level cache from one kernel to the next.
class RowPass {
 public:
  struct Steps {
    const QuantizePlan* plan = nullptr;    ///< null: no quantization
    const NOfMPattern* pattern = nullptr;  ///< null: no pruning
    bool quantize_first = false;
    const Mask* mask = nullptr;  ///< zeroes values before anything else
    const QuantizedMatrix* scales_from = nullptr;
    std::optional<float> tensor_scale = {};  ///< of activations, as in QuantizeOptions
  };
  struct Outputs {
    MatrixView values;                     ///< may be the input itself; null: not wanted
    QuantizedMatrix* quantized = nullptr;  ///< sized by run()
    Mask* keep = nullptr;                  ///< of the pattern; sized by run()
  };

  RowPass(ConstMatrixView in, const Steps& steps, const Outputs& out);

  /// All rows, on the threads of `context` or, if null, here. False, with outputs unspecified, if a
  /// value is NaN or infinite.
  bool run(Context* context);

 private:
  struct Scratch;
  struct BlockScales;

  template <typename Each>
  bool for_rows(Context* context, const Each& each) const;
  template <typename ErrorOf>
  BlockScale best_scale(const BlockStatistics& statistics, float second,
                        const ErrorOf& error) const;

  void size_outputs();
  bool choose_for_tensor(Context* context);
  bool run_row(int64_t r, Scratch& scratch);
  const float* prepare(int64_t r, int64_t begin, int64_t count, Scratch& scratch) const;
  bool row_statistics(int64_t r, Scratch& scratch, BlockStatistics& out) const;
  double row_error(int64_t r, BlockScale scale, Scratch& scratch) const;
  bool quantize_piece(int64_t r, int64_t begin, int64_t count, const float* values,
                      float* simulated, Scratch& scratch);
  BlockScales piece_scales(int64_t r, int64_t begin, int64_t count, const float* values,
                           Scratch& scratch);
  float second_level_scale(int64_t r, int64_t blocks, const Scratch& scratch);
  const float* next_piece(int64_t r, int64_t begin, int64_t count) const;

  ConstMatrixView in_;
  Steps steps_;
  Outputs out_;
  const NOfMKernels* prune_ = nullptr;
  const QuantizeKernels* kernels_ = nullptr;
  int64_t block_ = 0;       // values of a row that share a scale
  int64_t piece_ = 0;       // values that go through the cache together: whole blocks and groups
  bool one_scale_ = false;  // for the whole matrix
  bool stream_ = false;     // results are too many to stay in a cache
  float tensor_scale_ = 1.0f;
  BlockScale tensor_block_;
};

}  // namespace scant
