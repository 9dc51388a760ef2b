#include <array>

#include "formats/patterns/n_of_m.h"
#include "ops/lanes/lanes_kernels.h"

namespace scant {
namespace {

void add_products(const float* columns, const float* factors, int64_t count, float* sums) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t l = 0; l < kLanes; ++l) sums[l] += columns[i * kLanes + l] * factors[i];
  }
}

void keep_largest(const float* columns, const float* factors, int64_t count, int64_t n,
                  int32_t* keep) {
  const Scores scores{{}, Scores::Kind::kMagnitude};
  std::array<uint32_t, NOfMPattern::kLargestGroup> keys;
  std::array<uint8_t, NOfMPattern::kLargestGroup> kept;
  for (int64_t l = 0; l < kLanes; ++l) {
    for (int64_t i = 0; i < count; ++i) {
      keys[static_cast<size_t>(i)] = scores.key(columns[i * kLanes + l] * factors[i]);
    }
    scant::keep_largest(keys.data(), count, n, kept.data());
    for (int64_t i = 0; i < count; ++i) {
      keep[i * kLanes + l] = kept[static_cast<size_t>(i)] != 0 ? -1 : 0;
    }
  }
}

void finish_column(const FinishedColumn& column) {
  for (int64_t l = 0; l < kLanes; ++l) {
    const float wanted = column.keep[l] != 0 ? column.wanted[l] : 0.0f;
    const float change = column.weights[l] - wanted;
    const float off = column.best[l] - wanted;
    column.wanted[l] = wanted;
    column.changes[l] = change;
    column.errors[l] += column.cost * (off * off) - column.damping * (change * change);
  }
}

}  // namespace

const LanesKernels kLanesReference = {"lanes__reference", add_products, keep_largest,
                                      finish_column};

}  // namespace scant
