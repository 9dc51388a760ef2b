#include "formats/number_format.h"
#include "ops/descent/descent_kernels.h"

namespace scant {
namespace {

bool accepts(const QuantizeGrid&) { return true; }

void add_rows(const RowCombination& from, int64_t count, float* sums) {
  for (int64_t t = 0; t < from.terms; ++t) {
    const float* row = from.rows + from.index[t] * from.stride;
    for (int64_t k = 0; k < count; ++k) sums[k] += from.factors[t] * row[k];
  }
}

float growth(const DescentRow& row, int64_t c, float change) {
  const float g = row.gradient[c];
  return change * ((g + g) + row.diagonal[c] * change);
}

/// Calls use(best(c) -> float), the grid's best value of column c.
template <typename Use>
void with_best(const QuantizeGrid& grid, const DescentRow& row, const Use& use) {
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          use([&](int64_t c) {
            const BlockScale scale{row.scales[c],
                                   row.zero_points == nullptr ? 0 : row.zero_points[c],
                                   row.offsets == nullptr ? 0.0f : row.offsets[c]};
            const float wanted = row.values[c] - row.gradient[c] * row.inverse_diagonal[c];
            return decode(element, encode(element, wanted, scale), scale);
          });
        }
      },
      grid.format->element);
}

bool choose_values(const QuantizeGrid& grid, const DescentRow& row) {
  bool changed = false;
  with_best(grid, row, [&](const auto& best) {
    for (int64_t c = 0; c < row.count; ++c) {
      if (row.keep[c] == 0) continue;
      const float value = best(c);
      const float change = value - row.values[c];
      if (!(growth(row, c, change) < 0.0f)) continue;
      row.values[c] = value;
      const auto index = static_cast<int32_t>(c);
      add_rows({row.curvature, row.count, &index, &change, 1}, row.count, row.gradient);
      changed = true;
    }
  });
  return changed;
}

void price(const QuantizeGrid& grid, const DescentRow& row, int64_t begin, int64_t count,
           float* changes, float* growths) {
  with_best(grid, row, [&](const auto& best) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t c = begin + i;
      changes[i] = (row.keep[c] != 0 ? 0.0f : best(c)) - row.values[c];
      growths[i] = growth(row, c, changes[i]);
    }
  });
}

}  // namespace

const DescentKernels kDescentReference = {"descent__reference", accepts, choose_values, price,
                                          add_rows};

}  // namespace scant
