#include <algorithm>
#include <array>

#include "formats/patterns/n_of_m.h"
#include "ops/sparsify/n_of_m_kernels.h"

namespace scant {
namespace {

bool accepts(int64_t, int64_t) { return true; }

void prune(const NOfMRow& row) {
  std::array<uint32_t, NOfMPattern::kLargestGroup> keys;
  std::array<uint8_t, NOfMPattern::kLargestGroup> keep;
  for (int64_t begin = 0; begin < row.count; begin += row.m) {
    const int64_t count = std::min<int64_t>(row.m, row.count - begin);
    const float* values = row.values + begin;
    score_keys(Scores{{}, Scores::Kind::kMagnitude}, values, count, keys.data());
    keep_largest(keys.data(), count, row.n, keep.data());
    if (row.keep != nullptr) std::copy_n(keep.data(), count, row.keep + begin);
    if (row.pruned == nullptr) continue;
    for (int64_t i = 0; i < count; ++i) {
      row.pruned[begin + i] = keep[static_cast<size_t>(i)] != 0 ? values[i] : 0.0f;
    }
  }
}

}  // namespace

const NOfMKernels kNOfMReference = {"n_of_m__reference", accepts, prune};

}  // namespace scant
