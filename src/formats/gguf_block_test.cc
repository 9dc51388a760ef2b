// The block types of GGUF as number formats: what is stored, and how well scales are searched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/dtype.h"
#include "core/error.h"
#include "formats/packed.h"
#include "formats/quantized_test.h"
#include "formats/size.h"

namespace scant {
namespace {

constexpr std::array kTypes = {"q4_1", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"};

const GgufBlockElement& element_of(const NumberFormat& format) {
  return std::get<GgufBlockElement>(format.element);
}
GgufBlockElement element_of(std::string_view name) { return *GgufBlockElement::parse(name); }

Matrix normal_values(int64_t rows, int64_t cols, uint64_t seed, float deviation = 0.02f) {
  const CounterRandom random(seed, 21);
  Matrix values(rows, cols);
  for (int64_t i = 0; i < values.size(); ++i) {
    values.data()[i] = deviation * random.normal(static_cast<uint64_t>(i));
  }
  return values;
}

double weighted_error(const Matrix& values, const Matrix& out, std::span<const float> importance) {
  double sum = 0;
  for (int64_t r = 0; r < values.rows(); ++r) {
    for (int64_t c = 0; c < values.cols(); ++c) {
      const double off = static_cast<double>(out(r, c)) - values(r, c);
      sum += off * off * (importance.empty() ? 1.0f : importance[static_cast<size_t>(c)]);
    }
  }
  return sum;
}

using GgufBlock = Quantized;

TEST_F(GgufBlock, TakesTheBitsOfTheFileFormat) {
  constexpr std::array kBits = {5.0, 6.0, 2.625, 3.4375, 4.5, 5.5, 6.5625};
  for (size_t i = 0; i < kTypes.size(); ++i) {
    const NumberFormat format = NumberFormat::parse(kTypes[i], Role::kWeight);
    EXPECT_EQ(stored_size(8, 512, format, std::nullopt, 8 * 512).bits_per_weight(), kBits[i])
        << kTypes[i];
    // A tail has a whole record.
    EXPECT_EQ(format.scale_count(3, 257),
              3 * (element_of(format).super_block().values == 32 ? 9 : 2));
  }
}

TEST_F(GgufBlock, IsForWeightsAndTakesNoOptions) {
  const auto refusal = [](std::string_view spelling, Role role) -> std::string {
    try {
      NumberFormat::parse(spelling, role);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal("q4_k", Role::kActivation), testing::HasSubstr("q4_k is for weights only"));
  for (const char* part : {":g32", ":mse", ":stoch", ":scale=fp16", ":tensor", ":block=32"}) {
    EXPECT_THAT(refusal(std::string("q4_k") + part, Role::kWeight),
                testing::HasSubstr("allowed after it: nothing"));
  }
}

TEST_F(GgufBlock, ARecordGivesBackItsIntegers) {
  const CounterRandom random(4, 4);
  for (const char* type : kTypes) {
    const SuperBlock shape = element_of(type).super_block();
    SuperBlockScales scales{
        .super = {f16_to_f32(0x1234), shape.has_offsets ? f16_to_f32(0x8765) : 0}};
    for (int64_t b = 0; b < shape.blocks(); ++b) {
      const auto at = static_cast<size_t>(b);
      const auto pick = [&](int lowest, int highest, uint64_t salt) {
        const float u = random.uniform(2 * static_cast<uint64_t>(b) + salt);
        return lowest + static_cast<int>(u * static_cast<float>(highest - lowest + 1));
      };
      scales.scales[at] = b == 0   ? shape.lowest_scale()
                          : b == 1 ? shape.highest_scale()
                                   : pick(shape.lowest_scale(), shape.highest_scale(), 0);
      scales.offsets[at] = pick(shape.lowest_offset(), shape.highest_offset(), 1);
    }
    std::vector<std::byte> record(static_cast<size_t>(super_block_record_bits(shape) / 8));
    write_super_block(shape, scales, record);
    const SuperBlockScales back = read_super_block(shape, record);
    EXPECT_EQ(back.super, scales.super) << type;
    const auto count = static_cast<size_t>(shape.blocks());
    for (size_t b = 0; b < count; ++b) {
      EXPECT_EQ(back.scales[b], scales.scales[b]) << type;
      EXPECT_EQ(back.offsets[b], scales.offsets[b]) << type;
    }
    for (int64_t b = 0; b < shape.blocks(); ++b) {
      const auto at = static_cast<size_t>(b);
      const BlockScale one = read_super_block(shape, record, b);
      EXPECT_EQ(one.scale, scales.super.scale * static_cast<float>(scales.scales[at])) << type;
      EXPECT_EQ(one.offset, scales.super.offset * static_cast<float>(scales.offsets[at])) << type;
    }
  }
}

TEST_F(GgufBlock, StoredNumbersAreFloat16AndIntegersInRange) {
  const Matrix values = test_values(12, 300, 3);
  for (const char* type : kTypes) {
    const QuantizedMatrix result = quantized(values, type);
    const SuperBlock shape = element_of(type).super_block();
    EXPECT_EQ(result.offsets.empty(), !shape.has_offsets) << type;
    for (const SuperScale& super : result.super_scales) {
      EXPECT_EQ(f16_to_f32(f32_to_f16(super.scale)), super.scale) << type;
      EXPECT_EQ(f16_to_f32(f32_to_f16(super.offset)), super.offset) << type;
      if (shape.offset_bits > 0) {
        EXPECT_LE(super.offset, 0.0f) << type;  // dmin is not below 0
      }
    }
    for (const float scale : result.scales) {
      EXPECT_EQ(scale,
                std::clamp<float>(std::round(scale), static_cast<float>(shape.lowest_scale()),
                                  static_cast<float>(shape.highest_scale())))
          << type;
    }
  }
}

/// Scales from the ends of a block, integers rounded to nearest: what one would write down first.
SuperBlockScales plain_scales(const GgufBlockElement& element, std::span<const float> values) {
  const SuperBlock& shape = element.super_block();
  std::array<float, SuperBlock::kMostBlocks> scales{}, offsets{};
  for (size_t b = 0; b < static_cast<size_t>(shape.blocks()); ++b) {
    const auto block =
        values.subspan(b * static_cast<size_t>(shape.block), static_cast<size_t>(shape.block));
    const auto [low, high] = std::ranges::minmax(block);
    if (shape.has_offsets) {
      offsets[b] = shape.offset_bits > 0 ? std::min(low, 0.0f) : low;
      scales[b] = (high - offsets[b]) / element.largest();
    } else {
      scales[b] = -low > high ? low / element.smallest() : high / element.smallest();
    }
  }
  const auto half = [](float x) { return f16_to_f32(f32_to_f16(x)); };
  SuperBlockScales result;
  const auto by_size = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
  result.super.scale =
      half(*std::ranges::max_element(scales, by_size) / static_cast<float>(shape.highest_scale()));
  if (shape.has_offsets) {
    result.super.offset = half(*std::ranges::max_element(offsets, by_size) /
                               static_cast<float>(shape.highest_offset()));
  }
  for (size_t b = 0; b < static_cast<size_t>(shape.blocks()); ++b) {
    result.scales[b] = std::clamp(static_cast<int>(std::nearbyint(scales[b] / result.super.scale)),
                                  shape.lowest_scale(), shape.highest_scale());
    if (result.super.offset == 0) continue;
    result.offsets[b] =
        std::clamp(static_cast<int>(std::nearbyint(offsets[b] / result.super.offset)),
                   shape.lowest_offset(), shape.highest_offset());
  }
  return result;
}

double error_at(const GgufBlockElement& element, const SuperBlockScales& scales,
                std::span<const float> values) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t b = i / static_cast<size_t>(element.super_block().block);
    const BlockScale block = effective_scale(
        {static_cast<float>(scales.scales[b]), 0, static_cast<float>(scales.offsets[b])},
        scales.super);
    const double off =
        static_cast<double>(decode(element, encode(element, values[i], block), block)) - values[i];
    sum += off * off;
  }
  return sum;
}

TEST_F(GgufBlock, TheSearchIsNeverWorseThanScalesFromTheEndsAndMuchBetterOnTheWhole) {
  const Matrix values = normal_values(64, 256, 5);
  for (const char* type : kTypes) {
    const GgufBlockElement element = element_of(type);
    const auto length = static_cast<size_t>(element.super_block().values);
    double searched = 0, plain = 0;
    for (int64_t r = 0; r < values.rows(); ++r) {
      const auto part = values.row_span(r).first(length);
      const double ours = error_at(
          element, element.search_scales({part.data(), nullptr, static_cast<int64_t>(length)}),
          part);
      const double theirs = error_at(element, plain_scales(element, part), part);
      EXPECT_LE(ours, theirs * (1 + 1e-5)) << type;
      searched += ours;
      plain += theirs;
    }
    EXPECT_LT(searched, 0.9 * plain) << type;
  }
}

TEST_F(GgufBlock, ImportanceLowersTheWeightedError) {
  const Matrix values = normal_values(32, 512, 6);
  std::vector<float> importance(512);
  const CounterRandom random(9, 9);
  for (size_t c = 0; c < importance.size(); ++c) {
    importance[c] = std::exp(2.0f * random.normal(c));
  }
  for (const char* type : kTypes) {
    const Matrix plain = simulated(quantized(values, type));
    const Matrix ours = simulated(quantized(values, type, {.importance = importance}));
    EXPECT_LT(weighted_error(values, ours, importance),
              0.9 * weighted_error(values, plain, importance))
        << type;
    // Equal importances say nothing, whatever they are, and neither do zeros.
    for (const float same : {0.25f, 0.0f}) {
      const std::vector<float> equal(512, same);
      EXPECT_TRUE(same_bits(simulated(quantized(values, type, {.importance = equal})), plain));
    }
  }
}

TEST_F(GgufBlock, PrunedValuesTakeNoPart) {
  Matrix values = normal_values(6, 300, 7);
  const Mask mask = test_mask(6, 300, 8);
  Matrix other = Matrix::copy_of(values.view());
  for (int64_t i = 0; i < values.size(); ++i) {
    if (mask.keep[static_cast<size_t>(i)] == 0) other.data()[i] *= -100.0f;
  }
  for (const char* type : kTypes) {
    const QuantizedMatrix a = quantized(values, type, {.mask = &mask});
    const QuantizedMatrix b = quantized(other, type, {.mask = &mask});
    EXPECT_EQ(a.super_scales, b.super_scales) << type;
    EXPECT_EQ(a.scales, b.scales) << type;
    EXPECT_EQ(a.offsets, b.offsets) << type;
    EXPECT_EQ(a.codes, b.codes) << type;
  }
}

TEST_F(GgufBlock, ConstantAndOneSidedBlocksAreHeldWell) {
  for (const char* type : kTypes) {
    for (const float center : {-3.0f, 3.0f}) {
      Matrix values = normal_values(1, 256, 11, 0.1f);
      for (float& x : values.values()) x += center;
      const Matrix out = simulated(quantized(values, type));
      for (int64_t c = 0; c < 256; ++c) EXPECT_NEAR(out(0, c), values(0, c), 0.6f) << type;
      for (float& x : values.values()) x = center;
      const Matrix constant = simulated(quantized(values, type));
      for (const float x : constant.values()) EXPECT_NEAR(x, center, 0.01f) << type;
    }
  }
}

TEST_F(GgufBlock, WhatFloat16CannotHoldBecomesZeroOrSaturates) {
  Matrix values(1, 256);
  for (const char* type : kTypes) {
    std::ranges::fill(values.values(), 1e-30f);
    const Matrix small = simulated(quantized(values, type));
    for (const float x : small.values()) EXPECT_EQ(x, 0.0f) << type;
    std::ranges::fill(values.values(), 1e30f);
    const Matrix large = simulated(quantized(values, type));
    for (const float x : large.values()) {
      EXPECT_TRUE(std::isfinite(x) && x >= 65504.0f) << type;
    }
  }
}

TEST_F(GgufBlock, AStoredScaleThatIsNoNumberIsRefused) {
  const Matrix values = normal_values(2, 256, 12);
  for (const char* type : kTypes) {
    const PackedMatrix good = pack(quantized(values, type), nullptr, std::nullopt);
    PackedMatrix::Parts parts;
    for (size_t i = 0; i < kPackedParts; ++i) parts[i] = good.part(static_cast<PackedPart>(i));
    auto& scales = parts[static_cast<size_t>(PackedPart::kScales)];
    std::vector<std::byte> bytes(scales.begin(), scales.end());
    bytes[1] = std::byte{0x7c};  // infinity or NaN in float16
    scales = bytes;
    EXPECT_THROW(PackedMatrix(good.spec(), parts, nullptr), Error) << type;
  }
}

}  // namespace
}  // namespace scant
