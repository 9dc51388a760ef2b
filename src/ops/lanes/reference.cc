#include "ops/lanes/lanes_kernels.h"

namespace scant {
namespace {

void add_products(const float* columns, const float* factors, int64_t count, float* sums) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t l = 0; l < kLanes; ++l) sums[l] += columns[i * kLanes + l] * factors[i];
  }
}

}  // namespace

const LanesKernels kLanesReference = {"lanes__reference", add_products};

}  // namespace scant
