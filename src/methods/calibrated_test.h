#pragma once

#include <gtest/gtest.h>

#include <string>

#include "methods/compressed_matrix.h"
#include "methods/random_blocks_test.h"

namespace scant {

/// One weight with correlated inputs, for tests of calibrated methods.
struct CalibratedTest : testing::Test {
  ThreadPool pool{2};
  Context context{pool};
  const InputStatistics inputs{random_gram(200, 600, 1)};
  const Statistics statistics{&inputs};
  const Matrix weight = random_blocks(4 * kBlockKinds, 200, 2);

  /// Null: no pattern, or no format.
  CompressedMatrix compress(const char* pattern, const char* format, const std::string& pruner,
                            const std::string& quantizer, Order order = Order::kSparsifyFirst,
                            const std::string& joint = "gain_mask") {
    CompressionSpec spec;
    if (pattern != nullptr) spec.pattern = SparsityPattern::parse(pattern);
    if (format != nullptr) spec.format = NumberFormat::parse(format, Role::kWeight);
    spec.pruner = pruner;
    spec.quantizer = quantizer;
    spec.order = order;
    spec.joint = joint;
    return compress_matrix(weight.view(), spec, statistics, context);
  }

  double error(const Matrix& values) {
    return output_squared_error(weight.view(), values.view(), inputs, context);
  }
};

}  // namespace scant
