#include "ops/simulate/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/cpu.h"
#include "core/error.h"
#include "core/random.h"
#include "ops/quantize/quantize_plan.h"
#include "ops/quantize/table.h"
#include "ops/sparsify/table.h"

namespace scant {
namespace {

// Runs `body` once per instruction set that the run may use (all below SCANT_FORCE_ISA).
template <typename Body>
void on_every_isa(const Body& body) {
  const Isa allowed = active_isa();
  for (const Isa isa : runnable_isas()) {
    if (isa > allowed) continue;
    SCOPED_TRACE(isa_name(isa));
    limit_isa(isa);
    body();
  }
  limit_isa(allowed);
}

enum class Data { kNormal, kTies, kAnyBits, kZeros, kHuge, kTiny };
constexpr Data kAllData[] = {Data::kNormal, Data::kTies, Data::kAnyBits,
                             Data::kZeros,  Data::kHuge, Data::kTiny};

float sample(Data data, const CounterRandom& random, uint64_t i) {
  switch (data) {
    case Data::kNormal:
      return random.normal(i);
    case Data::kTies:  // halves of small integers with powers of two at the top, of either sign
      return i % 29 == 3 ? -16.0f : 0.5f * static_cast<float>(random.below(i, 33)) - 8.0f;
    case Data::kAnyBits: {
      const float value = std::bit_cast<float>(random.bits(i));
      return std::isfinite(value) ? value : -0.0f;
    }
    case Data::kZeros:  // whole blocks, both zeros
      return i / 40 % 3 == 0 ? random.normal(i) : (i % 2 == 0 ? 0.0f : -0.0f);
    case Data::kHuge:
      return (random.below(i, 2) == 0 ? -1.0f : 1.0f) * std::numeric_limits<float>::max() *
             (i % 5 == 0 ? 1.0f : random.uniform(i));
    case Data::kTiny:
      return std::bit_cast<float>((random.bits(i) & 0x80000fffu));
  }
  return 0.0f;
}

Matrix samples(Data data, int64_t rows, int64_t cols) {
  Matrix matrix(rows, cols);
  const CounterRandom random(
      7, static_cast<uint64_t>(data) * 1000003u + static_cast<uint64_t>(rows * 1009 + cols));
  for (int64_t i = 0; i < matrix.size(); ++i) {
    matrix.data()[i] = sample(data, random, static_cast<uint64_t>(i));
  }
  return matrix;
}

std::vector<uint32_t> bits_of(std::span<const float> values) {
  std::vector<uint32_t> bits(values.size());
  std::transform(values.begin(), values.end(), bits.begin(),
                 [](float value) { return std::bit_cast<uint32_t>(value); });
  return bits;
}

void expect_same_bits(std::span<const float> got, std::span<const float> expected) {
  ASSERT_EQ(got.size(), expected.size());
  const std::vector<uint32_t> a = bits_of(got);
  const std::vector<uint32_t> b = bits_of(expected);
  const auto at =
      static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
  ASSERT_EQ(at, a.size()) << "value " << at << " is " << got[at] << " instead of " << expected[at];
}

void expect_same(const QuantizedMatrix& got, const QuantizedMatrix& expected) {
  EXPECT_EQ(got.format, expected.format);
  EXPECT_EQ(got.rows, expected.rows);
  EXPECT_EQ(got.cols, expected.cols);
  EXPECT_EQ(got.codes, expected.codes);
  EXPECT_EQ(got.zero_points, expected.zero_points);
  expect_same_bits(got.scales, expected.scales);
  expect_same_bits(got.tensor_scales, expected.tensor_scales);
}

Mask some_mask(int64_t rows, int64_t cols) {
  Mask mask = Mask::all(rows, cols);
  for (size_t i = 0; i < mask.keep.size(); ++i) mask.keep[i] = i % 3 != 1 && i / 50 % 4 != 2;
  return mask;
}

// The definition: formats/ alone.
QuantizedMatrix defined(ConstMatrixView values, const NumberFormat& format,
                        const QuantizeOptions& options, Context& context, Matrix* simulated) {
  QuantizedMatrix quantized = quantize(values, format, options, context);
  *simulated = Matrix(values.rows, values.cols);
  dequantize(quantized, simulated->view());
  return quantized;
}

constexpr std::pair<int64_t, int64_t> kShapes[] = {{1, 1}, {3, 7}, {2, 16}, {5, 61}, {3, 264}};

class EveryFormat : public testing::Test {
 protected:
  ThreadPool threads_{2};
  Context context_{threads_};

  template <typename Body>
  void for_each_format(const Body& body) {
    for (const Role role : {Role::kWeight, Role::kActivation}) {
      for (const std::string& spelling : number_format_examples(role)) {
        SCOPED_TRACE(spelling + (role == Role::kWeight ? " of weights" : " of activations"));
        body(NumberFormat::parse(spelling, role));
        if (HasFatalFailure()) return;
      }
    }
  }
};

TEST_F(EveryFormat, GivesTheCodesScalesAndValuesOfItsDefinition) {
  for_each_format([&](const NumberFormat& format) {
    for (const auto& [rows, cols] : kShapes) {
      for (const Data data : kAllData) {
        if (format.mse && (rows * cols > 200 || data == Data::kZeros)) continue;  // slow reference
        SCOPED_TRACE(testing::Message() << rows << " x " << cols << ", data " << int(data));
        const Matrix values = samples(data, rows, cols);
        Matrix expected;
        const QuantizedMatrix definition = defined(values.view(), format, {}, context_, &expected);
        on_every_isa([&] {
          Matrix simulated(rows, cols);
          const QuantizedMatrix quantized =
              quantize_matrix(values.view(), format, {}, context_, simulated.view());
          expect_same(quantized, definition);
          expect_same_bits(simulated.values(), expected.values());
          dequantize_matrix(quantized, simulated.view(), context_);
          expect_same_bits(simulated.values(), expected.values());

          simulated = Matrix::copy_of(values.view());
          quantize_rows(simulated.view(), simulated.view(), format);
          expect_same_bits(simulated.values(), expected.values());
        });
        if (HasFatalFailure()) return;
      }
    }
  });
}

TEST_F(EveryFormat, LeavesPrunedValuesOutOfItsScales) {
  for_each_format([&](const NumberFormat& format) {
    const int64_t rows = 3, cols = format.mse ? 40 : 150;
    const Matrix values = samples(Data::kNormal, rows, cols);
    const Mask mask = some_mask(rows, cols);
    const QuantizeOptions options{.mask = &mask, .seed = 3, .stream = 4};
    Matrix expected;
    const QuantizedMatrix definition = defined(values.view(), format, options, context_, &expected);
    on_every_isa([&] {
      Matrix simulated(rows, cols);
      expect_same(quantize_matrix(values.view(), format, options, context_, simulated.view()),
                  definition);
      expect_same_bits(simulated.values(), expected.values());
    });
  });
}

TEST_F(EveryFormat, TakesScalesFromAnotherMatrix) {
  for_each_format([&](const NumberFormat& format) {
    if (format.is_plain()) return;
    const Matrix first = samples(Data::kZeros, 4, 90);
    const Matrix second = samples(Data::kNormal, 4, 90);
    const QuantizedMatrix scales = quantize(first.view(), format, {}, context_);
    const QuantizeOptions options{.scales_from = &scales};
    Matrix expected;
    const QuantizedMatrix definition = defined(second.view(), format, options, context_, &expected);
    on_every_isa([&] {
      Matrix simulated(4, 90);
      expect_same(quantize_matrix(second.view(), format, options, context_, simulated.view()),
                  definition);
      expect_same_bits(simulated.values(), expected.values());
    });
  });
}

TEST_F(EveryFormat, CombinesWithEveryPatternInBothOrdersAsTheDefinitionsDo) {
  const int64_t rows = 4, cols = 76;
  for_each_format([&](const NumberFormat& format) {
    if (format.role == Role::kActivation || format.mse) return;
    for (const SparsityPattern& pattern : SparsityPattern::examples()) {
      for (const Data data : {Data::kNormal, Data::kTies}) {
        SCOPED_TRACE(pattern.spelling());
        const Matrix values = samples(data, rows, cols);
        for (const bool quantize_first : {false, true}) {
          SCOPED_TRACE(quantize_first ? "quantize first" : "sparsify first");
          Mask mask;
          Matrix expected;
          QuantizedMatrix definition;
          if (quantize_first) {
            definition = defined(values.view(), format, {}, context_, &expected);
            mask = pattern.select_magnitude(expected.view(), context_);
          } else {
            mask = pattern.select_magnitude(values.view(), context_);
            definition = defined(values.view(), format, {.mask = &mask}, context_, &expected);
          }
          for (int64_t i = 0; i < expected.size(); ++i) {
            if (mask.keep[static_cast<size_t>(i)] == 0) expected.data()[i] = 0.0f;
          }
          on_every_isa([&] {
            Matrix simulated(rows, cols);
            QuantizedMatrix quantized;
            Mask kept;
            simulate_matrix(
                values.view(),
                {.pattern = pattern, .format = format, .quantize_first = quantize_first},
                {.values = simulated.view(), .quantized = &quantized, .mask = &kept}, context_);
            expect_same(quantized, definition);
            EXPECT_EQ(kept.keep, mask.keep);
            expect_same_bits(simulated.values(), expected.values());
          });
          if (HasFatalFailure()) return;
        }
      }
    }
  });
}

TEST_F(EveryFormat, NamesTheValueThatIsNotFinite) {
  for_each_format([&](const NumberFormat& format) {
    for (const int64_t at : {0, 37, 149}) {
      Matrix values = samples(Data::kNormal, 3, 50);
      values.data()[at] = at == 37 ? std::numeric_limits<float>::quiet_NaN()
                                   : -std::numeric_limits<float>::infinity();
      Mask mask = Mask::all(3, 50);
      mask.keep[37] = 0;  // a pruned value must be finite too
      std::string expected;
      try {
        quantize(values.view(), format, {}, context_);
      } catch (const Error& error) {
        expected = error.what();
      }
      on_every_isa([&] {
        const auto fails = [&](const auto& call) {
          try {
            call();
            ADD_FAILURE() << "no error";
          } catch (const Error& error) {
            EXPECT_EQ(error.what(), expected);
          }
        };
        Matrix out(3, 50);
        fails([&] { quantize_matrix(values.view(), format, {}, context_, out.view()); });
        fails([&] { quantize_matrix(values.view(), format, {.mask = &mask}, context_); });
        fails([&] { quantize_rows(values.view(), out.view(), format); });
        fails([&] {
          simulate_matrix(values.view(),
                          {.pattern = SparsityPattern::parse("2:4"), .format = format},
                          {.values = out.view()}, context_);
        });
      });
    }
  });
}

class Pruning : public testing::Test {
 protected:
  ThreadPool threads_{2};
  Context context_{threads_};

  void expect_defined(const SparsityPattern& pattern, const Matrix& values) {
    const Mask expected = pattern.select_magnitude(values.view(), context_);
    Matrix zeroed = Matrix::copy_of(values.view());
    for (int64_t i = 0; i < zeroed.size(); ++i) {
      if (expected.keep[static_cast<size_t>(i)] == 0) zeroed.data()[i] = 0.0f;
    }
    on_every_isa([&] {
      Matrix pruned(values.rows(), values.cols());
      Mask mask;
      simulate_matrix(values.view(), {.pattern = pattern}, {.values = pruned.view(), .mask = &mask},
                      context_);
      EXPECT_EQ(mask.keep, expected.keep);
      expect_same_bits(pruned.values(), zeroed.values());
      EXPECT_EQ(select_magnitude_mask(values.view(), pattern, context_).keep, expected.keep);
      pruned = Matrix::copy_of(values.view());
      simulate_matrix(pruned.view(), {.pattern = pattern}, {.values = pruned.view()}, context_);
      expect_same_bits(pruned.values(), zeroed.values());
    });
  }
};

TEST_F(Pruning, KeepsWhatTheDefinitionOfNOfMKeepsForEveryNAndM) {
  for (int64_t m = 2; m <= 67; m += m < 18 ? 1 : 7) {
    for (int64_t n = 1; n < m; n += m < 18 ? 1 : 5) {
      const SparsityPattern pattern{NOfMPattern{n, m}};
      SCOPED_TRACE(pattern.spelling());
      for (const Data data : {Data::kTies, Data::kAnyBits, Data::kZeros}) {
        for (const int64_t cols : {m - 1, 2 * m, int64_t{67}, int64_t{150}}) {
          expect_defined(pattern, samples(data, 3, cols));
        }
      }
    }
  }
}

TEST_F(Pruning, DecidesEveryOrderOfTiesInAQuadAsTheDefinitionDoes) {
  Matrix values(4 * 4 * 4, 16);  // four magnitudes out of three values, with signs
  for (int64_t i = 0; i < values.size() / 4; ++i) {
    for (int64_t j = 0, rest = i; j < 4; ++j, rest /= 4) {
      const int64_t digit = rest % 4;
      values.data()[4 * i + j] = digit == 3 ? -1.0f : static_cast<float>(digit);
    }
  }
  for (const char* spelling : {"1:4", "2:4", "3:4", "1:2", "4:8", "2:8"}) {
    expect_defined(SparsityPattern::parse(spelling), values);
  }
}

TEST_F(Pruning, ReportsAValueThatIsNotFinite) {
  Matrix values = samples(Data::kNormal, 2, 40);
  values(1, 7) = std::numeric_limits<float>::quiet_NaN();
  for (const SparsityPattern& pattern : SparsityPattern::examples()) {
    on_every_isa([&] {
      EXPECT_THAT([&] { select_magnitude_mask(values.view(), pattern, context_); },
                  testing::ThrowsMessage<Error>(testing::HasSubstr("row 1, column 7 is NaN")));
      EXPECT_THROW(simulate_matrix(values.view(), {.pattern = pattern}, {}, context_), Error);
    });
  }
}

// Large enough to be written past the caches, with rows that start inside a cache line too.
TEST_F(Pruning, CombinesWithFormatsInLargeAndStridedMatrices) {
  const int64_t rows = 1030, cols = 2064;
  const Matrix values = samples(Data::kNormal, rows, cols);
  for (const char* spelling : {"int8", "fp8_e4m3:tensor", "mxfp4", "int4:g24:asym"}) {
    SCOPED_TRACE(spelling);
    const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    Matrix expected;
    defined(values.view(), format, {}, context_, &expected);
    on_every_isa([&] {
      Matrix out(rows, cols);
      simulate_matrix(values.view(), {.format = format}, {.values = out.view()}, context_);
      expect_same_bits(out.values(), expected.values());

      const SparsityPattern pattern = SparsityPattern::parse("2:4");
      simulate_matrix(values.view(), {.pattern = pattern, .format = format, .quantize_first = true},
                      {.values = out.view()}, context_);
      const Mask mask = pattern.select_magnitude(expected.view(), context_);
      Matrix pruned = Matrix::copy_of(expected.view());
      for (int64_t i = 0; i < pruned.size(); ++i) {
        if (mask.keep[static_cast<size_t>(i)] == 0) pruned.data()[i] = 0.0f;
      }
      expect_same_bits(out.values(), pruned.values());
    });
  }
  Matrix wide = Matrix::zeros(8, 131);
  const Matrix narrow = samples(Data::kNormal, 8, 128);
  const MatrixView inside(wide.data() + 3, 8, 128, 131);
  on_every_isa([&] {
    simulate_matrix(narrow.view(), {.format = NumberFormat::parse("int8", Role::kWeight)},
                    {.values = inside}, context_);
    Matrix expected;
    defined(narrow.view(), NumberFormat::parse("int8", Role::kWeight), {}, context_, &expected);
    for (int64_t r = 0; r < 8; ++r) {
      expect_same_bits(inside.row_span(r), expected.row_span(r));
      EXPECT_EQ(wide(r, 2), 0.0f);
    }
  });
}

TEST(Simulate, DoesNotDependOnTheNumberOfThreads) {
  const Matrix values = samples(Data::kNormal, 300, 500);
  ThreadPool one(1), three(3);
  Context alone{one}, together{three};
  for (const char* spelling : {"int4:g128:mse", "int8:tensor", "nvfp4", "int3:tensor:mse"}) {
    const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
    Matrix first(300, 500), second(300, 500);
    const QuantizedMatrix a = quantize_matrix(values.view(), format, {}, alone, first.view());
    const QuantizedMatrix b = quantize_matrix(values.view(), format, {}, together, second.view());
    expect_same(a, b);
    expect_same_bits(first.values(), second.values());
  }
}

TEST(Simulate, RefusesAnOutputOfAnotherShape) {
  ThreadPool threads(1);
  Context context{threads};
  const Matrix values = samples(Data::kNormal, 3, 8);
  Matrix out(3, 4);
  EXPECT_THROW(
      simulate_matrix(values.view(), {.format = NumberFormat::parse("int8", Role::kWeight)},
                      {.values = out.view()}, context),
      Error);
}

TEST(Simulate, HandlesMatricesWithoutValues) {
  ThreadPool threads(1);
  Context context{threads};
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{0, 8}, {3, 0}}) {
    const Matrix values(rows, cols);
    Mask mask;
    QuantizedMatrix quantized;
    simulate_matrix(values.view(),
                    {.pattern = SparsityPattern::parse("2:4"),
                     .format = NumberFormat::parse("int8", Role::kWeight)},
                    {.quantized = &quantized, .mask = &mask}, context);
    EXPECT_EQ(mask.rows, rows);
    EXPECT_EQ(quantized.cols, cols);
    EXPECT_THAT(quantized.codes, testing::IsEmpty());
  }
}

TEST(KernelTables, SelectTheForcedInstructionSet) {
  on_every_isa([] {
    // These ops have no row for VNNI: AVX-512's serves it.
    const Isa rows = std::min(active_isa(), Isa::kAvx512);
    const std::string isa = rows == Isa::kPortable ? "reference" : std::string(isa_name(rows));
    for (const char* spelling : {"int8", "int4:g128:asym", "fp8_e4m3", "fp8_e5m2", "fp6_e2m3",
                                 "fp4_e2m1", "mxfp4", "mxint8", "hbfp4", "nvfp4"}) {
      const auto plan = QuantizePlan::make(NumberFormat::parse(spelling, Role::kWeight));
      ASSERT_NE(plan, nullptr);
      EXPECT_EQ(plan->kernels().name, "quantize__" + isa) << spelling;
    }
    EXPECT_EQ(select_n_of_m_kernels(2, 4, active_isa()).name, "n_of_m__" + isa);
  });
}

TEST(KernelTables, EndWithAReferenceThatTakesEverything) {
  EXPECT_STREQ(select_quantize_kernels({.family = QuantizeGrid::Family::kOther}, Isa::kAvx512).name,
               "quantize__reference");
  EXPECT_STREQ(select_n_of_m_kernels(100, 1024, Isa::kAvx512).name, "n_of_m__reference");
}

}  // namespace
}  // namespace scant
