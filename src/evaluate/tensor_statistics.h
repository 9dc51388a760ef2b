#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/context.h"

namespace scant {

/// What is worth knowing of a weight before compressing it.
struct TensorStatistics {
  double largest = 0;  ///< max |x|
  double mean = 0;
  double deviation = 0;               ///< standard deviation (population)
  double kurtosis = 0;                ///< fourth standardised moment; 3 for a normal distribution
  double zeros = 0;                   ///< share of exact zeros
  int64_t not_finite = 0;             ///< NaN and infinite values; left out of the other figures
  std::vector<std::string> patterns;  ///< N:M patterns that it satisfies, the sparsest first
  /// Input channel with the largest Euclidean norm, and that norm over the median channel's.
  int64_t outlier_channel = -1;
  double outlier_ratio = 0;
};

/// Statistics of one tensor, read in pieces of bounded size. `transposed`: stored inputs x outputs
/// (N:M groups and channels then run along the first dimension).
TensorStatistics tensor_statistics(const Checkpoint& checkpoint, const StoredTensor& tensor,
                                   bool transposed, Context& context);

}  // namespace scant
