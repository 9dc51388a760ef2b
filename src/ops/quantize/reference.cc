#include <algorithm>
#include <bit>

#include "formats/number_format.h"
#include "ops/quantize/quantize_kernels.h"

namespace scant {
namespace {

bool accepts(const QuantizeGrid&) { return true; }

void ranges(const float* values, int64_t count, int64_t block, const QuantizeRanges& out) {
  for (int64_t begin = 0, b = 0; begin < count; begin += block, ++b) {
    int32_t absmax_bits = 0;
    float min = 0.0f;
    float max = 0.0f;
    for (int64_t i = begin; i < std::min(begin + block, count); ++i) {
      absmax_bits = std::max(absmax_bits, std::bit_cast<int32_t>(values[i]) & 0x7fffffff);
      if (values[i] < min) min = values[i];
      if (values[i] > max) max = values[i];
    }
    out.absmax_bits[b] = absmax_bits;
    if (out.min != nullptr) out.min[b] = min;
    if (out.max != nullptr) out.max[b] = max;
  }
}

// Calls each(i, code, block's scale, element) for every value.
template <typename Each>
void for_codes(const QuantizeGrid& grid, const QuantizeRow& row, Each&& each) {
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (int64_t begin = 0, b = 0; begin < row.count; begin += row.block, ++b) {
            const BlockScale scale{row.scales[b],
                                   row.zero_points == nullptr ? 0 : row.zero_points[b]};
            for (int64_t i = begin; i < std::min(begin + row.block, row.count); ++i) {
              const uint8_t code = encode(element, row.values[i], scale);
              each(i, code, decode(element, code, scale));
            }
          }
        }
      },
      grid.format->element);
}

void quantize(const QuantizeGrid& grid, const QuantizeRow& row) {
  for_codes(grid, row, [&](int64_t i, uint8_t code, float value) {
    if (row.codes != nullptr) row.codes[i] = code;
    if (row.simulated != nullptr) row.simulated[i] = value;
  });
}

void squared_error(const QuantizeGrid& grid, const QuantizeRow& row, double* lanes) {
  for_codes(grid, row, [&](int64_t i, uint8_t, float value) {
    const double difference = value - row.values[i];
    lanes[i & 7] += difference * difference;
  });
}

void round_each(const QuantizeGrid& grid, const QuantizeEach& each) {
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (int64_t i = 0; i < each.count; ++i) {
            const BlockScale scale{each.scales[i],
                                   each.zero_points == nullptr ? 0 : each.zero_points[i],
                                   each.offsets == nullptr ? 0.0f : each.offsets[i]};
            each.simulated[i] = decode(element, encode(element, each.values[i], scale), scale);
          }
        }
      },
      grid.format->element);
}

}  // namespace

const QuantizeKernels kQuantizeReference = {"quantize__reference", accepts,   ranges, quantize,
                                            squared_error,         round_each};

}  // namespace scant
