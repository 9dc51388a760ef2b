#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/random.h"
#include "formats/number_format.h"

namespace scant {
namespace {

// A family without codes and without round(): the concept must refuse it.
struct Incomplete : NoOptions {
  static constexpr std::string_view kFamily = "incomplete";
  static constexpr std::string_view kSyntax = "incomplete";
  static constexpr std::string_view kMeaning = "nothing";
  static std::vector<std::string> examples() { return {}; }
  static std::optional<Incomplete> parse(std::string_view) { return std::nullopt; }
  std::string name() const { return "incomplete"; }
  ElementRules rules() const { return {}; }
  ElementPremises premises() const { return {}; }
  int code_bits() const { return 1; }
  friend bool operator==(const Incomplete&, const Incomplete&) = default;
};
static_assert(NamedElement<Incomplete> && !ElementFamily<Incomplete>);
static_assert(CodedElement<IntElement> && !CodedElement<PlainElement>);

// Calls test(element, spelling) for every element of every family that has codes.
template <typename Test>
void for_each_coded(Test&& test) {
  AllElements::for_each([&]<typename T>(std::type_identity<T>) {
    if constexpr (CodedElement<T>) {
      for (const std::string& spelling : T::examples()) {
        const NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
        test(std::get<T>(format.element), spelling);
      }
    }
  });
}

// Of the codes at the least distance (in exact arithmetic) the even one.
template <CodedElement T>
uint8_t nearest_by_search(const T& element, double y) {
  uint8_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (const uint8_t code : element.codes()) {
    const double distance = std::fabs(y - static_cast<double>(element.code_value(code)));
    if (distance < least || (distance == least && code % 2 == 0)) {
      least = distance;
      best = code;
    }
  }
  return best;
}

TEST(Elements, EveryCodeIsListedOnceByIncreasingValueAndFitsItsBits) {
  for_each_coded([](const auto& element, const std::string& spelling) {
    const std::vector<uint8_t> codes = element.codes();
    ASSERT_GE(codes.size(), 2u) << spelling;
    EXPECT_LE(codes.size(), size_t{1} << element.code_bits()) << spelling;
    EXPECT_EQ(element.code_value(codes.front()), element.smallest()) << spelling;
    EXPECT_EQ(element.code_value(codes.back()), element.largest()) << spelling;
    for (size_t i = 0; i < codes.size(); ++i) {
      EXPECT_LT(codes[i], 1 << element.code_bits()) << spelling;
      if (i > 0) {
        EXPECT_LT(element.code_value(codes[i - 1]), element.code_value(codes[i])) << spelling;
      }
    }
  });
}

TEST(Elements, EveryCodeIsItsOwnNearestAndStochasticCode) {
  for_each_coded([](const auto& element, const std::string& spelling) {
    for (const uint8_t code : element.codes()) {
      const float value = element.code_value(code);
      EXPECT_EQ(element.nearest(value, 0), code) << spelling;
      for (const float u : {0.0f, 0.5f, 1.0f - 0x1p-24f}) {
        EXPECT_EQ(element.stochastic(value, 0, u), code) << spelling;
      }
    }
  });
}

TEST(Elements, RoundingFindsTheNearestCodeAndTiesGoToTheEvenOne) {
  for_each_coded([](const auto& element, const std::string& spelling) {
    if (!element.rules().has_zero) return;  // binary: the sign decides, tested below
    const std::vector<uint8_t> codes = element.codes();
    for (size_t i = 0; i + 1 < codes.size(); ++i) {
      const float low = element.code_value(codes[i]);
      const float high = element.code_value(codes[i + 1]);
      const float middle = low / 2 + high / 2;
      const float infinity = std::numeric_limits<float>::infinity();
      for (const float y :
           {middle, std::nextafter(middle, -infinity), std::nextafter(middle, infinity),
            0.75f * low + 0.25f * high, 0.25f * low + 0.75f * high, std::nextafter(low, infinity),
            std::nextafter(high, -infinity)}) {
        // nf4's middles are no float32 numbers: its differences are compared in float32.
        if (spelling == "nf4" && std::fabs(y - middle) < 1e-6f) continue;
        const uint8_t expected = nearest_by_search(element, y);
        const float value = element.code_value(element.nearest(y, 0));
        EXPECT_EQ(value, element.code_value(expected)) << spelling << " at " << y;
      }
    }
  });
}

TEST(Elements, StochasticRoundingTakesTheUpperCodeInProportionToThePosition) {
  for_each_coded([](const auto& element, const std::string& spelling) {
    const std::vector<uint8_t> codes = element.codes();
    for (size_t i = 0; i + 1 < codes.size(); ++i) {
      const float low = element.code_value(codes[i]);
      const float high = element.code_value(codes[i + 1]);
      const float y = 0.75f * low + 0.25f * high;
      int lower = 0;
      for (int k = 0; k < 64; ++k) {
        const uint8_t code = element.stochastic(y, 0, (static_cast<float>(k) + 0.5f) / 64.0f);
        const float value = element.code_value(code);
        EXPECT_TRUE(value == low || value == high) << spelling << " at " << y;
        lower += value == low ? 1 : 0;
      }
      EXPECT_EQ(lower, 48) << spelling << " at " << y;
    }
  });
}

TEST(Elements, ValuesBeyondTheGridSaturate) {
  for_each_coded([](const auto& element, const std::string& spelling) {
    const float infinity = std::numeric_limits<float>::infinity();
    for (const float far : {1.5f * element.largest() + 1.0f, 1e30f, infinity}) {
      EXPECT_EQ(element.code_value(element.nearest(far, 0)), element.largest()) << spelling;
      EXPECT_EQ(element.code_value(element.stochastic(far, 0, 0.9f)), element.largest());
      EXPECT_EQ(element.code_value(element.stochastic(far, 0, 0.0f)), element.largest());
    }
    for (const float far : {1.5f * element.smallest() - 1.0f, -1e30f, -infinity}) {
      EXPECT_EQ(element.code_value(element.nearest(far, 0)), element.smallest()) << spelling;
      EXPECT_EQ(element.code_value(element.stochastic(far, 0, 0.9f)), element.smallest());
      EXPECT_EQ(element.code_value(element.stochastic(far, 0, 0.0f)), element.smallest());
    }
  });
}

TEST(Elements, ZeroIsTheValueOfTheCodeOfZeroAndNeverNegative) {
  for_each_coded([](const auto& element, const std::string& spelling) {
    for (const float y : {0.0f, -0.0f, -1e-30f}) {
      const float value = element.code_value(element.nearest(y, 0));
      if (element.rules().has_zero) {
        EXPECT_EQ(std::bit_cast<uint32_t>(value), 0u) << spelling;
      } else if (!ElementScaledBySearch<std::decay_t<decltype(element)>>) {  // an offset decides
        EXPECT_NE(value, 0.0f) << spelling;
      }
    }
  });
}

TEST(Elements, RoundingIsMonotone) {
  const CounterRandom random(3, 4);
  for_each_coded([&](const auto& element, const std::string& spelling) {
    std::vector<float> ys(500);
    const float reach = 1.2f * std::max(element.largest(), -element.smallest());
    for (size_t i = 0; i < ys.size(); ++i) {
      const float u = 2.0f * random.uniform(i) - 1.0f;
      ys[i] = i % 2 == 0 ? reach * u : reach * u * u * u * u * u;
    }
    std::sort(ys.begin(), ys.end());
    for (size_t i = 1; i < ys.size(); ++i) {
      EXPECT_LE(element.code_value(element.nearest(ys[i - 1], 0)),
                element.code_value(element.nearest(ys[i], 0)))
          << spelling;
    }
  });
}

// The magnitudes of a mini float's non-negative numbers.
std::vector<float> positive_values(std::string_view spelling) {
  std::vector<float> values;
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (const uint8_t code : element.codes()) {
            if (element.code_value(code) >= 0) values.push_back(element.code_value(code));
          }
        }
      },
      NumberFormat::parse(spelling, Role::kWeight).element);
  return values;
}

TEST(Elements, PublishedTablesHold) {
  using testing::ElementsAre;
  for (const char* e2m1 : {"fp4_e2m1", "mxfp4", "nvfp4"}) {
    EXPECT_THAT(positive_values(e2m1), ElementsAre(0, 0.5, 1, 1.5, 2, 3, 4, 6)) << e2m1;
  }
  const std::vector<float> e3m2 = positive_values("fp6_e3m2");
  EXPECT_EQ(e3m2.size(), 32u);
  EXPECT_EQ(e3m2[1], 0.0625f);
  EXPECT_EQ(e3m2.back(), 28.0f);
  const std::vector<float> e2m3 = positive_values("fp6_e2m3");
  EXPECT_EQ(e2m3[1], 0.125f);
  EXPECT_EQ(e2m3.back(), 7.5f);
  const std::vector<float> e4m3 = positive_values("fp8_e4m3");
  EXPECT_EQ(e4m3.size(), 127u);
  EXPECT_EQ(e4m3[1], 0x1p-9f);
  EXPECT_EQ(e4m3.back(), 448.0f);
  const std::vector<float> e5m2 = positive_values("fp8_e5m2");
  EXPECT_EQ(e5m2.size(), 124u);
  EXPECT_EQ(e5m2[1], 0x1p-16f);
  EXPECT_EQ(e5m2.back(), 57344.0f);
  // Without mantissa bits only powers of two, without a second exponent bit a uniform grid.
  EXPECT_THAT(positive_values("fp4_e3m0"), ElementsAre(0, 0.25, 0.5, 1, 2, 4, 8, 16));
  EXPECT_THAT(positive_values("fp4_e1m2"), ElementsAre(0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5));
  EXPECT_EQ(positive_values("mxint8").back(), 127.0f / 64.0f);
  EXPECT_EQ(positive_values("fp8_e7m0").back(), 0x1p64f);
}

TEST(Elements, IntegerGridsHaveTheirRanges) {
  const auto range = [](std::string_view spelling) {
    const auto element = std::get<IntElement>(NumberFormat::parse(spelling, Role::kWeight).element);
    return std::pair(element.smallest(), element.largest());
  };
  for (int bits = 2; bits <= 8; ++bits) {
    const std::string name = "int" + std::to_string(bits);
    const float half = std::ldexp(1.0f, bits - 1);
    EXPECT_EQ(range(name), std::pair(-half, half - 1));
    EXPECT_EQ(range(name + ":narrow"), std::pair(1 - half, half - 1));
    EXPECT_EQ(range(name + ":asym"), std::pair(0.0f, 2 * half - 1));
  }
}

TEST(Elements, AsymmetricCodesRoundBeforeTheZeroPointIsAdded) {
  const IntElement element{4, IntElement::Grid::kAsym};
  EXPECT_EQ(element.zero_point(-3.0f, 0.5f), 6);
  EXPECT_EQ(element.zero_point(0.0f, 0.5f), 0);
  EXPECT_EQ(element.zero_point(-100.0f, 0.5f), 15);
  EXPECT_EQ(element.nearest(0.0f, 6), 6);
  EXPECT_EQ(element.nearest(0.5f, 7), 7);  // 0.5 rounds to 0
  EXPECT_EQ(element.nearest(1.5f, 7), 9);  // 1.5 rounds to 2
  EXPECT_EQ(element.nearest(-6.4f, 6), 0);
  EXPECT_EQ(element.nearest(-9.0f, 6), 0);
  EXPECT_EQ(element.nearest(12.0f, 6), 15);
  EXPECT_EQ(decode(element, 9, {0.5f, 6}), 1.5f);
  EXPECT_EQ(decode(element, 6, {0.5f, 6}), 0.0f);
}

TEST(Elements, BinaryTakesTheSignAndZeroIsPositive) {
  const BinaryElement element;
  EXPECT_EQ(element.code_value(element.nearest(0.01f, 0)), 1.0f);
  EXPECT_EQ(element.code_value(element.nearest(-0.01f, 0)), -1.0f);
  EXPECT_EQ(element.code_value(element.nearest(-0.0f, 0)), 1.0f);
}

TEST(Elements, PlainValuesRoundToNearestEvenAndSaturate) {
  const auto rounded = [](std::string_view spelling, float x) {
    return std::get<PlainElement>(NumberFormat::parse(spelling, Role::kWeight).element).round(x);
  };
  EXPECT_EQ(rounded("fp32", 0.1f), 0.1f);
  EXPECT_EQ(rounded("bf16", 1.00390625f), 1.0f);
  EXPECT_EQ(rounded("bf16", std::numeric_limits<float>::max()), 0x1.fep127f);
  EXPECT_EQ(rounded("fp16", 1e6f), 65504.0f);
  EXPECT_EQ(rounded("fp16", -65520.0f), -65504.0f);
  EXPECT_EQ(rounded("fp16", 2049.0f), 2048.0f);
}

}  // namespace
}  // namespace scant
