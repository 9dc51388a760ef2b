#include "formats/size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/error.h"
#include "core/random.h"
#include "formats/all_layouts.h"

namespace scant {
namespace {

using testing::HasSubstr;

NumberFormat weights(std::string_view spelling) {
  return NumberFormat::parse(spelling, Role::kWeight);
}

template <typename Layout>
StoredSize size_in(int64_t rows, int64_t cols, std::string_view format, std::string_view pattern) {
  const NumberFormat numbers = weights(format);
  const SparsityPattern sparsity = SparsityPattern::parse(pattern);
  return layout_size<Layout>({rows, cols, numbers, &sparsity, sparsity.most_kept(rows, cols)});
}

Mask random_selection(const SparsityPattern& pattern, int64_t rows, int64_t cols) {
  Matrix scores(rows, cols);
  const CounterRandom random(3, static_cast<uint64_t>(rows * 1000 + cols));
  for (int64_t i = 0; i < scores.size(); ++i) {
    scores.values()[static_cast<size_t>(i)] = random.normal(static_cast<uint64_t>(i));
  }
  ThreadPool pool(1);
  Context context{pool};
  return pattern.select({scores.view(), Scores::Kind::kAdditive}, context);
}

// Writes nothing, but counts as a writer of the drawn layout would: item by item.
class ByteCounter {
 public:
  void bits(int64_t count) { bits_ += count; }
  void fill() { bits_ = (bits_ + 7) / 8 * 8; }
  int64_t bytes() const { return bits_ / 8; }

 private:
  int64_t bits_ = 0;
};

int64_t kept_in(const Mask& mask, int64_t r0, int64_t r1, int64_t c0, int64_t c1) {
  int64_t kept = 0;
  for (int64_t r = r0; r < std::min(r1, mask.rows); ++r) {
    for (int64_t c = c0; c < std::min(c1, mask.cols); ++c) kept += mask(r, c);
  }
  return kept;
}

int64_t count_scales(const NumberFormat& format, int64_t scales) {
  ByteCounter counter;
  for (int64_t i = 0; i < scales; ++i) counter.bits(format.scale_bits());
  counter.fill();
  for (int64_t i = 0; i < scales; ++i) counter.bits(format.zero_point_bits());
  counter.fill();
  if (format.rules().two_level) counter.bits(32);
  return counter.bytes();
}

int64_t count_bitmask(const NumberFormat& format, const SparsityPattern&, const Mask& mask) {
  ByteCounter counter;
  for (int64_t r = 0; r < mask.rows; ++r) {
    counter.bits(mask.cols);
    counter.fill();
  }
  for (const uint8_t keep : mask.keep) counter.bits(keep != 0 ? format.code_bits() : 0);
  counter.fill();
  return counter.bytes() + count_scales(format, format.scale_count(mask.rows, mask.cols));
}

int64_t count_n_of_m(const NumberFormat& format, const SparsityPattern& pattern, const Mask& mask,
                     bool ranks) {
  const auto& groups = std::get<NOfMPattern>(pattern.pattern);
  ByteCounter counter;
  for (int64_t r = 0; r < mask.rows; ++r) {
    for (int64_t c = 0; c < mask.cols; c += groups.m) {
      const int64_t kept = kept_in(mask, r, r + 1, c, c + groups.m);
      const auto length = static_cast<double>(std::min(groups.m, mask.cols - c));
      const double log2_of_e = 1.4426950408889634;
      const double combinations = (std::lgamma(length + 1) - std::lgamma(kept + 1.0) -
                                   std::lgamma(length - static_cast<double>(kept) + 1)) *
                                  log2_of_e;
      counter.bits(ranks ? static_cast<int64_t>(std::ceil(combinations - 1e-9))
                         : kept * static_cast<int64_t>(std::ceil(std::log2(groups.m))));
    }
    counter.fill();
    for (int64_t c = 0; c < mask.cols; ++c) {
      counter.bits(mask(r, c) != 0 ? format.code_bits() : 0);
    }
    counter.fill();
  }
  return counter.bytes() + count_scales(format, format.scale_count(mask.rows, mask.cols));
}

int64_t count_blocks(const NumberFormat& format, const SparsityPattern& pattern, const Mask& mask,
                     bool listed) {
  const auto& blocks = std::get<BlockPattern>(pattern.pattern);
  ByteCounter counter, codes;
  int64_t scales = 0;
  const bool inside = format.granularity.kind == Granularity::Kind::kGroup &&
                      blocks.cols % (format.granularity.size * format.blocks_per_scale()) == 0;
  for (int64_t r = 0; r < mask.rows; r += blocks.rows) {
    for (int64_t c = 0; c < mask.cols; c += blocks.cols) {
      const bool kept = kept_in(mask, r, r + blocks.rows, c, c + blocks.cols) > 0;
      counter.bits(!listed ? 1 : kept ? 16 : 0);
      if (!kept) continue;
      codes.bits(blocks.rows * blocks.cols * format.code_bits());
      codes.fill();
      if (inside) scales += blocks.rows * format.scale_count(1, blocks.cols);
    }
    if (listed) counter.bits(32);
  }
  if (listed) counter.bits(32);
  counter.fill();
  return counter.bytes() + codes.bytes() +
         count_scales(format, inside ? scales : format.scale_count(mask.rows, mask.cols));
}

int64_t count_structured(const NumberFormat& format, const SparsityPattern& pattern,
                         const Mask& mask) {
  const bool by_row =
      std::get<StructuredPattern>(pattern.pattern).axis == StructuredPattern::Axis::kRows;
  ByteCounter counter;
  counter.bits(by_row ? mask.rows : mask.cols);
  counter.fill();
  int64_t kept_rows = 0;
  for (int64_t r = 0; r < mask.rows; ++r) {
    counter.bits(kept_in(mask, r, r + 1, 0, mask.cols) * format.code_bits());
    counter.fill();
    kept_rows += kept_in(mask, r, r + 1, 0, mask.cols) > 0;
  }
  return counter.bytes() + count_scales(format, format.scale_count(kept_rows, mask.cols));
}

int64_t count_dense(const NumberFormat& format, const Mask& mask) {
  ByteCounter counter;
  for (int64_t r = 0; r < mask.rows; ++r) {
    for (int64_t c = 0; c < mask.cols; ++c) counter.bits(format.code_bits());
    counter.fill();
  }
  return counter.bytes() + count_scales(format, format.scale_count(mask.rows, mask.cols));
}

int64_t count_bytes(std::string_view layout, const NumberFormat& format,
                    const SparsityPattern& pattern, const Mask& mask) {
  if (layout == "dense") return count_dense(format, mask);
  if (layout == "bitmask") return count_bitmask(format, pattern, mask);
  if (layout == "n_of_m") return count_n_of_m(format, pattern, mask, true);
  if (layout == "n_of_m_positions") return count_n_of_m(format, pattern, mask, false);
  if (layout == "block_bitmask") return count_blocks(format, pattern, mask, false);
  if (layout == "block_rows") return count_blocks(format, pattern, mask, true);
  if (layout == "structured") return count_structured(format, pattern, mask);
  ADD_FAILURE() << "no count for layout " << layout;
  return 0;
}

TEST(StoredSize, EveryLayoutTakesTheBytesThatAWriterWouldCount) {
  const std::vector<std::pair<int64_t, int64_t>> shapes = {{8, 128}, {5, 77}, {1, 3}, {33, 40}};
  for (const auto& pattern : SparsityPattern::examples()) {
    for (const auto& [rows, cols] : shapes) {
      const Mask mask = random_selection(pattern, rows, cols);
      const auto spellings = number_format_examples(Role::kWeight);
      for (size_t i = 0; i < spellings.size(); i += 5) {  // each element and part now and then
        const std::string& spelling = spellings[i];
        const NumberFormat format = weights(spelling);
        AllLayouts::for_each([&]<typename Layout>() {
          if (Layout::refusal(format, &pattern)) return;
          const StoredSize size = layout_size<Layout>({rows, cols, format, &pattern, mask.kept()});
          ASSERT_EQ(size.total(), count_bytes(Layout::kName, format, pattern, mask))
              << Layout::kName << " " << spelling << " " << pattern.spelling() << " " << rows
              << " x " << cols;
          ASSERT_GE(size.padding, 0);
        });
      }
    }
  }
}

TEST(StoredSize, IsKnownBeforeThereIsAMask) {
  for (const auto& pattern : SparsityPattern::examples()) {
    for (const char* spelling : {"int4:g32:asym", "nvfp4", "binary"}) {
      const NumberFormat format = weights(spelling);
      const Mask mask = random_selection(pattern, 13, 70);
      EXPECT_EQ(stored_size(13, 70, format, pattern, mask.kept()).total(),
                stored_size(13, 70, format, pattern, pattern.most_kept(13, 70)).total())
          << spelling << " " << pattern.spelling();
    }
  }
}

TEST(StoredSize, TakesTheSmallestLayoutThatHoldsTheCombination) {
  const auto layout = [](const char* format, const char* pattern) {
    const auto sparsity = SparsityPattern::parse(pattern);
    return stored_size(64, 256, weights(format), sparsity, sparsity.most_kept(64, 256)).layout;
  };
  EXPECT_EQ(stored_size(64, 256, weights("int4"), std::nullopt, 64 * 256).layout, "dense");
  EXPECT_EQ(layout("int4", "2:4"), "n_of_m");
  EXPECT_EQ(layout("int4", "50:100"), "bitmask");
  EXPECT_EQ(layout("int4", "50%"), "bitmask");
  EXPECT_EQ(layout("int4", "10%"), "dense");      // a bit per weight costs more than it saves
  EXPECT_EQ(layout("binary", "10%"), "bitmask");  // though dense codes would be smaller
  EXPECT_EQ(layout("int4", "50%:block=1x16"), "block_bitmask");
  EXPECT_EQ(layout("int4", "99.9%:block=1x1"), "block_rows");
  EXPECT_EQ(layout("int4", "50%:rows"), "structured");
  EXPECT_EQ(layout("int4", "50%:cols"), "structured");
}

TEST(StoredSize, TwoOfFourCostsThreeBitsAQuadOrFourWithPositions) {
  const StoredSize ranked = size_in<NOfMLayout>(64, 256, "int4:g128", "2:4");
  EXPECT_EQ(ranked.codes, 64 * 128 * 4 / 8);
  EXPECT_EQ(ranked.positions, 64 * 64 * 3 / 8);
  EXPECT_EQ(ranked.scales, 64 * 2 * 2);
  EXPECT_EQ(ranked.zero_points + ranked.constants + ranked.padding, 0);
  EXPECT_EQ(size_in<NOfMPositionsLayout>(64, 256, "int4:g128", "2:4").positions, 64 * 64 * 4 / 8);
  const auto pattern = SparsityPattern::parse("2:4");
  EXPECT_DOUBLE_EQ(stored_size(64, 256, weights("int4:g128"), pattern, 64 * 128).bits_per_weight(),
                   2.0 + 0.75 + 16.0 / 128);
}

TEST(StoredSize, RankBitsAreTheLogarithmOfTheNumberOfPositions) {
  const std::map<std::pair<int64_t, int64_t>, int> known = {
      {{4, 2}, 3},  {{4, 1}, 2},   {{8, 4}, 7}, {{16, 8}, 14}, {{32, 16}, 30}, {{64, 32}, 61},
      {{64, 1}, 6}, {{64, 63}, 6}, {{3, 2}, 2}, {{2, 2}, 0},   {{1, 1}, 0},    {{0, 0}, 0}};
  for (const auto& [group, bits] : known) {
    EXPECT_EQ(NOfMLayout::rank_bits(group.first, group.second), bits)
        << group.second << ":" << group.first;
  }
}

TEST(StoredSize, OnlyTheScalesOfKeptUnitsAreStored) {
  EXPECT_EQ(size_in<StructuredLayout>(64, 256, "int8", "75%:rows").scales, 16 * 4);
  EXPECT_EQ(size_in<StructuredLayout>(64, 256, "int8", "75%:cols").scales, 64 * 4);
  EXPECT_EQ(size_in<BlockBitmaskLayout>(64, 256, "int4:g16", "75%:block=1x16").scales, 256 * 2);
  EXPECT_EQ(size_in<BlockBitmaskLayout>(64, 256, "int4:g32", "75%:block=1x16").scales, 512 * 2);
}

TEST(StoredSize, ZeroPointsAndConstantsAreCounted) {
  const StoredSize asymmetric = stored_size(7, 96, weights("int3:g32:asym"), std::nullopt, 7 * 96);
  EXPECT_EQ(asymmetric.zero_points, (7 * 3 * 3 + 7) / 8);
  EXPECT_EQ(asymmetric.scales, 7 * 3 * 2);
  EXPECT_EQ(asymmetric.codes, 7 * 96 * 3 / 8);
  const StoredSize nvfp4 = stored_size(8, 64, weights("nvfp4"), std::nullopt, 8 * 64);
  EXPECT_EQ(nvfp4.constants, 4);
  EXPECT_EQ(nvfp4.scales, 8 * 4);
  EXPECT_DOUBLE_EQ(nvfp4.bits_per_weight(), 4.5 + 32.0 / (8 * 64));
  EXPECT_EQ(stored_size(8, 64, weights("bf16"), std::nullopt, 8 * 64).total(), 8 * 64 * 2);
}

TEST(StoredSize, BinaryWithSparsityIsRefusedWhereNoMaskIsStored) {
  const NumberFormat binary = weights("binary");
  const auto half = SparsityPattern::parse("50%");
  using DenseOnly = LayoutList<DenseLayout>;
  EXPECT_FALSE(DenseOnly::smallest({4, 4, binary, &half, 8}));
  EXPECT_THAT(DenseOnly::refusal(binary, &half).value_or(""),
              HasSubstr("no layout can store binary with 50%; dense: it has no code for zero"));
  EXPECT_FALSE(DenseOnly::refusal(binary, nullptr));
  EXPECT_FALSE(layout_refusal(binary, half));
}

}  // namespace
}  // namespace scant
