#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/cpu.h"
#include "core/random.h"
#include "core/tensor.h"
#include "ops/descent/table.h"
#include "ops/lanes/table.h"
#include "ops/quantize/quantize_plan.h"
#include "ops/quantize/value_rounder.h"

namespace scant {
namespace {

constexpr int64_t kCounts[] = {1, 7, 8, 16, 61, 131};

std::vector<float> normals(int64_t count, uint64_t stream) {
  const CounterRandom random(41, stream);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(random.normal(static_cast<uint64_t>(i)));
  return values;
}

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<uint32_t>(value));
  return bits;
}

std::vector<NumberFormat> formats() {
  std::vector<NumberFormat> all;
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    if (!format.stochastic && !format.is_plain()) all.push_back(std::move(format));
  }
  return all;
}

/// A row whose values lie on the grid, and a curvature that couples them.
struct Problem {
  Problem(const NumberFormat& format_in, int64_t count, uint64_t stream)
      : format(format_in),
        plan(QuantizePlan::make(format)),
        grid(plan != nullptr ? plan->grid() : QuantizeGrid{QuantizeGrid::Family::kOther}),
        values(normals(count, stream)),
        gradient(normals(count, stream + 1)),
        curvature(normals(count * count, stream + 2)),
        keep(values.size()),
        scales(values.size()),
        zero_points(values.size(), 0) {
    grid.format = &format;
    const bool has_zero_points = format.rules().zero_point;
    for (size_t c = 0; c < values.size(); ++c) {
      keep[c] = c % 3 != 1;
      scales[c] = 0.1f + 0.05f * static_cast<float>(c / 32 % 5);
      if (c / 32 % 7 == 5) scales[c] = 0.0f;
      if (has_zero_points) zero_points[c] = static_cast<int32_t>(c / 16 % 4);
      float& diagonal = curvature[c * values.size() + c];
      diagonal = c % 11 == 10 ? 0.0f : 5.0f + std::abs(diagonal);
      diagonals.push_back(diagonal);
      inverses.push_back(diagonal > 0 ? 1.0f / diagonal : 0.0f);
    }
    ValueRounder(format).round({values.data(), count, scales.data(), zeros(), values.data()});
    for (size_t c = 0; c < values.size(); ++c) values[c] = keep[c] != 0 ? values[c] : 0.0f;
  }

  const int32_t* zeros() const { return format.rules().zero_point ? zero_points.data() : nullptr; }
  DescentRow row() {
    return {static_cast<int64_t>(values.size()),
            values.data(),
            gradient.data(),
            keep.data(),
            curvature.data(),
            diagonals.data(),
            inverses.data(),
            scales.data(),
            zeros()};
  }

  NumberFormat format;
  std::unique_ptr<const QuantizePlan> plan;
  QuantizeGrid grid;
  std::vector<float> values, gradient, curvature;
  std::vector<uint8_t> keep;
  std::vector<float> scales, diagonals, inverses;
  std::vector<int32_t> zero_points;
};

/// Of every row of the table that this processor runs, the reference included.
template <typename Body>
void on_every_row(const QuantizeGrid& grid, const Body& body) {
  for (const Isa isa : runnable_isas()) {
    if (isa > active_isa()) continue;
    const DescentKernels& kernels = select_descent_kernels(grid, isa);
    SCOPED_TRACE(kernels.name);
    body(kernels);
  }
}

TEST(Descent, EveryRowOfTheTableChoosesTheSameValues) {
  int64_t changed = 0;
  for (const NumberFormat& format : formats()) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(testing::Message() << format.spelling() << " " << count);
      Problem expected(format, count, 7);
      const bool any = kDescentReference.choose_values(expected.grid, expected.row());
      changed += any;
      on_every_row(expected.grid, [&](const DescentKernels& kernels) {
        Problem got(format, count, 7);
        ASSERT_EQ(kernels.choose_values(got.grid, got.row()), any);
        ASSERT_EQ(bits_of(got.values), bits_of(expected.values));
        ASSERT_EQ(bits_of(got.gradient), bits_of(expected.gradient));
      });
    }
  }
  EXPECT_GT(changed, 100);
}

TEST(Descent, EveryRowOfTheTableGivesTheSamePrices) {
  for (const NumberFormat& format : formats()) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(testing::Message() << format.spelling() << " " << count);
      Problem problem(format, count, 9);
      const int64_t begin = count / 3, priced = count - begin - count / 5;
      const auto size = static_cast<size_t>(priced);
      std::vector<float> changes(size), growths(size);
      kDescentReference.price(problem.grid, problem.row(), begin, priced, changes.data(),
                              growths.data());
      on_every_row(problem.grid, [&](const DescentKernels& kernels) {
        std::vector<float> got_changes(size), got_growths(size);
        kernels.price(problem.grid, problem.row(), begin, priced, got_changes.data(),
                      got_growths.data());
        ASSERT_EQ(bits_of(got_changes), bits_of(changes));
        ASSERT_EQ(bits_of(got_growths), bits_of(growths));
      });
    }
  }
}

TEST(Descent, EveryRowOfTheTableAddsTheSameRows) {
  const QuantizeGrid any{};
  const std::vector<int32_t> index = {3, 0, 4, 4, 1};
  const std::vector<float> factors = normals(5, 3);
  for (const int64_t count : kCounts) {
    const std::vector<float> rows = normals(5 * (count + 3), 4);
    for (int64_t terms = 0; terms <= 5; ++terms) {
      const RowCombination from{rows.data(), count + 3, index.data(), factors.data(), terms};
      std::vector<float> expected = normals(count, 5);
      kDescentReference.add_rows(from, count, expected.data());
      on_every_row(any, [&](const DescentKernels& kernels) {
        std::vector<float> got = normals(count, 5);
        kernels.add_rows(from, count, got.data());
        ASSERT_EQ(bits_of(got), bits_of(expected));
      });
    }
  }
}

TEST(Lanes, EveryRowOfTheTableAddsTheSameProducts) {
  for (const int64_t count : {0, 1, 2, 9, 128}) {
    const std::vector<float> columns = normals(count * kLanes, 1);
    const std::vector<float> factors = normals(count, 2);
    std::vector<float> expected = normals(kLanes, 3);
    kLanesReference.add_products(columns.data(), factors.data(), count, expected.data());
    for (const Isa isa : runnable_isas()) {
      if (isa > active_isa()) continue;
      std::vector<float> got = normals(kLanes, 3);
      select_lanes_kernels(isa).add_products(columns.data(), factors.data(), count, got.data());
      ASSERT_EQ(bits_of(got), bits_of(expected)) << isa_name(isa) << " " << count;
    }
  }
}

TEST(Lanes, EveryRowOfTheTableKeepsTheSameLargestWithTheirTies) {
  for (const auto& [n, count] : {std::pair{2, 4}, {1, 2}, {3, 7}, {8, 16}, {4, 3}, {20, 64}}) {
    std::vector<float> columns = normals(count * kLanes, 4);
    for (float& value : columns) value = std::round(2 * value) / 2;
    const std::vector<float> factors(static_cast<size_t>(count), 1.5f);
    std::vector<int32_t> expected(columns.size()), got(columns.size());
    kLanesReference.keep_largest(columns.data(), factors.data(), count, n, expected.data());
    EXPECT_EQ(std::ranges::count(expected, -1), std::min(n, count) * kLanes);
    for (const Isa isa : runnable_isas()) {
      if (isa > active_isa()) continue;
      select_lanes_kernels(isa).keep_largest(columns.data(), factors.data(), count, n, got.data());
      ASSERT_EQ(got, expected) << isa_name(isa) << " " << n << ":" << count;
    }
  }
}

TEST(Lanes, EveryRowOfTheTableFinishesAColumnAlike) {
  const std::vector<float> best = normals(kLanes, 1), weights = normals(kLanes, 2);
  std::vector<int32_t> keep(kLanes);
  for (size_t l = 0; l < keep.size(); ++l) keep[l] = l % 3 == 0 ? 0 : -1;
  const auto finish = [&](const LanesKernels& kernels) {
    std::vector<float> wanted = normals(kLanes, 3), changes(kLanes), errors = normals(kLanes, 4);
    kernels.finish_column({wanted.data(), best.data(), weights.data(), keep.data(), 1.3f, 0.01f,
                           changes.data(), errors.data()});
    return std::array{bits_of(wanted), bits_of(changes), bits_of(errors)};
  };
  const auto expected = finish(kLanesReference);
  EXPECT_EQ(expected[0][0], 0u);  // pruned, and no negative zero
  for (const Isa isa : runnable_isas()) {
    if (isa > active_isa()) continue;
    EXPECT_EQ(finish(select_lanes_kernels(isa)), expected) << isa_name(isa);
  }
}

TEST(ValueRounder, IsEncodeAndDecodeOfEveryValueWithItsOwnScale) {
  const Isa allowed = active_isa();
  for (const NumberFormat& format : formats()) {
    for (const int64_t count : kCounts) {
      SCOPED_TRACE(testing::Message() << format.spelling() << " " << count);
      Problem problem(format, count, 11);  // scales, 0 among them, and zero points
      const std::vector<float> values = normals(count, 12);
      std::vector<float> expected(values.size());
      kQuantizeReference.round_each(problem.grid, {values.data(), count, problem.scales.data(),
                                                   problem.zeros(), expected.data()});
      for (const Isa isa : runnable_isas()) {
        if (isa > allowed) continue;
        limit_isa(isa);
        std::vector<float> got = values;
        ValueRounder(format).round(
            {got.data(), count, problem.scales.data(), problem.zeros(), got.data()});
        ASSERT_EQ(bits_of(got), bits_of(expected)) << isa_name(isa);
      }
      limit_isa(allowed);
    }
  }
}

}  // namespace
}  // namespace scant
