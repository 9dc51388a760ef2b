#include "formats/packed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "formats/all_layouts.h"

namespace scant {
namespace {

using testing::HasSubstr;

constexpr int64_t kRows = 13;
constexpr int64_t kCols = 83;  // no multiple of a group, a byte or a vector

NumberFormat weights(std::string_view spelling) {
  return NumberFormat::parse(spelling, Role::kWeight);
}

Matrix random_matrix(int64_t rows, int64_t cols) {
  Matrix matrix(rows, cols);
  const CounterRandom random(5, static_cast<uint64_t>(rows));
  for (int64_t i = 0; i < matrix.size(); ++i) {
    matrix.values()[static_cast<size_t>(i)] = random.normal(static_cast<uint64_t>(i));
  }
  return matrix;
}

/// A quantized random matrix, and what it evaluates to.
struct Sample {
  Sample(const NumberFormat& format, const std::optional<SparsityPattern>& pattern_in,
         int64_t rows = kRows, int64_t cols = kCols)
      : pattern(pattern_in), values(rows, cols) {
    ThreadPool pool(1);
    Context context{pool};
    const Matrix dense = random_matrix(rows, cols);
    if (pattern) mask = pattern->select_magnitude(dense.view(), context);
    const QuantizeOptions options{.mask = mask ? &*mask : nullptr};
    quantized = quantize(dense.view(), format, options, context);
    dequantize(quantized, values.view());
    for (int64_t i = 0; mask && i < values.size(); ++i) {
      if (mask->keep[static_cast<size_t>(i)] == 0) values.values()[static_cast<size_t>(i)] = 0.0f;
    }
  }
  PackedMatrix packed(std::string_view layout = {}) const {
    return pack(quantized, mask ? &*mask : nullptr, pattern, layout);
  }

  std::optional<SparsityPattern> pattern;
  QuantizedMatrix quantized;
  std::optional<Mask> mask;
  Matrix values;
};

void expect_same_bits(const PackedMatrix& packed, const Matrix& values) {
  Matrix back(values.rows(), values.cols());
  packed.unpack_rows(0, back.view());
  ASSERT_EQ(std::memcmp(back.data(), values.data(), values.values().size_bytes()), 0);
  Matrix one(1, values.cols());
  packed.unpack_rows(values.rows() - 1, one.view());  // rows are read alone, too
  ASSERT_EQ(std::memcmp(one.data(), values.row(values.rows() - 1), one.values().size_bytes()), 0);
}

std::vector<std::optional<SparsityPattern>> patterns() {
  std::vector<std::optional<SparsityPattern>> all = {std::nullopt};
  for (const SparsityPattern& pattern : SparsityPattern::examples()) all.emplace_back(pattern);
  return all;
}

TEST(Packed, EveryElementPatternAndLayoutGivesBackWhatWasSimulatedInTheBytesThatAreCounted) {
  std::vector<NumberFormat> formats;
  for (const std::string& spelling : number_format_examples(Role::kWeight)) {
    formats.push_back(weights(spelling));
  }
  for (const char* spelling : {"int4:g16", "int3:asym:g32", "nvfp4", "int4:tensor", "mxfp4"}) {
    formats.push_back(weights(spelling));
  }
  int held = 0;
  for (const auto& pattern : patterns()) {
    for (const NumberFormat& format : formats) {
      const SparsityPattern* sparsity = pattern ? &*pattern : nullptr;
      if (AllLayouts::refusal(format, sparsity)) continue;
      const Sample sample(format, pattern);
      AllLayouts::for_each([&]<typename Layout>() {
        if (Layout::refusal(format, sparsity)) return;
        SCOPED_TRACE(format.spelling() + (pattern ? " " + pattern->spelling() : "") + " in " +
                     std::string(Layout::kName));
        const PackedMatrix packed = sample.packed(Layout::kName);
        expect_same_bits(packed, sample.values);
        EXPECT_EQ(packed.bytes(), packed.spec().size().total());
        ++held;
      });
    }
  }
  EXPECT_GT(held, 1000);
}

TEST(Packed, TheSmallestLayoutIsTaken) {
  EXPECT_EQ(Sample(weights("int4:g128"), SparsityPattern::parse("2:4")).packed().spec().layout,
            "n_of_m");
  EXPECT_EQ(Sample(weights("int4:g128"), SparsityPattern::parse("50%")).packed().spec().layout,
            "bitmask");
  EXPECT_EQ(Sample(weights("int2"), SparsityPattern::parse("10%")).packed().spec().layout, "dense");
}

TEST(Packed, ColumnFactorsAreStoredAndApplied) {
  Sample sample(weights("int4:g16"), std::nullopt);
  for (int64_t c = 0; c < kCols; ++c) {
    sample.quantized.column_factors.push_back(1.0f + static_cast<float>(c % 8) / 8);
  }
  dequantize(sample.quantized, sample.values.view());
  const PackedMatrix packed = sample.packed();
  expect_same_bits(packed, sample.values);
  EXPECT_EQ(packed.bytes(), packed.spec().size().total());
}

/// Any order of kCols columns.
std::vector<int32_t> shuffled_columns() {
  std::vector<int32_t> order;
  for (int32_t c = 0; c < kCols; ++c) order.push_back(static_cast<int32_t>(c * 35 % kCols));
  return order;
}

TEST(Packed, AColumnOrderIsStoredAndPutsEveryColumnAtItsPlace) {
  for (const char* spelling : {"int4:g16", "int3:g32:asym", "nvfp4"}) {
    Sample sample(weights(spelling), std::nullopt);
    const Matrix stored = Matrix::copy_of(sample.values.view());
    sample.quantized.column_order = shuffled_columns();
    dequantize(sample.quantized, sample.values.view());
    for (int64_t c = 0; c < kCols; ++c) {
      EXPECT_EQ(sample.values(1, c * 35 % kCols), stored(1, c)) << spelling;
    }
    const PackedMatrix packed = sample.packed();
    expect_same_bits(packed, sample.values);
    EXPECT_EQ(packed.part(PackedPart::kColumnOrder).size(), 4u * kCols);
    EXPECT_EQ(packed.bytes(), packed.spec().size().total());
  }
}

TEST(Packed, OnlyDenseMatricesInGroupsHaveAColumnOrder) {
  for (const auto& [spelling, pattern] : {std::pair{"int4:g16", "2:4"}, {"int4", ""}}) {
    const bool dense = *pattern == '\0';
    Sample sample(weights(spelling),
                  dense ? std::nullopt : std::optional(SparsityPattern::parse(pattern)));
    sample.quantized.column_order = shuffled_columns();
    EXPECT_THROW(sample.packed(), Error) << spelling;
  }
}

TEST(Packed, AMaskThatKeepsFewerIsFilledUp) {
  for (const char* spelling : {"2:4", "50%", "50%:block=4x8", "50%:cols"}) {
    SCOPED_TRACE(spelling);
    Sample sample(weights("int4:asym"), SparsityPattern::parse(spelling));
    for (int64_t c = 0; c < kCols; ++c) {  // row 3 keeps nothing
      sample.mask->row(3)[c] = 0;
      sample.values(3, c) = 0;
      const auto zero = sample.quantized.zero_points[3];
      sample.quantized.codes[static_cast<size_t>(3 * kCols + c)] = static_cast<uint8_t>(zero);
    }
    expect_same_bits(sample.packed(), sample.values);
  }
}

/// A packed matrix whose bytes can be changed.
class Damaged {
 public:
  explicit Damaged(const PackedMatrix& packed) : spec_(packed.spec()) {
    for (size_t i = 0; i < kPackedParts; ++i) {
      const auto part = packed.part(static_cast<PackedPart>(i));
      bytes_[i].assign(part.begin(), part.end());
    }
  }
  std::vector<std::byte>& part(PackedPart part) { return bytes_[static_cast<size_t>(part)]; }
  std::string message() const {
    PackedMatrix::Parts parts;
    for (size_t i = 0; i < kPackedParts; ++i) parts[i] = bytes_[i];
    try {
      const PackedMatrix packed(spec_, parts, nullptr);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

 private:
  PackedSpec spec_;
  std::array<std::vector<std::byte>, kPackedParts> bytes_;
};

TEST(Packed, SoundBytesAreAccepted) {
  EXPECT_EQ(Damaged(Sample(weights("int4"), SparsityPattern::parse("2:4")).packed()).message(), "");
}

TEST(Packed, RanksOutOfRangeAreRefused) {
  Damaged damaged(Sample(weights("int4"), SparsityPattern::parse("2:4")).packed());
  for (std::byte& byte : damaged.part(PackedPart::kPositions)) byte = std::byte{0xff};
  EXPECT_THAT(damaged.message(), HasSubstr("group 0 has rank 7; expected less than 6"));
}

TEST(Packed, PositionsThatRepeatAreRefused) {
  Damaged damaged(
      Sample(weights("int4"), SparsityPattern::parse("2:4")).packed("n_of_m_positions"));
  damaged.part(PackedPart::kPositions)[0] = std::byte{0};
  EXPECT_THAT(damaged.message(), HasSubstr("positions of row 0: 0 at column 0 after 0"));
}

TEST(Packed, CountsThatDisagreeAreRefused) {
  Damaged bitmask(Sample(weights("int4"), SparsityPattern::parse("50%")).packed());
  bitmask.part(PackedPart::kPositions)[0] ^= std::byte{1};
  EXPECT_THAT(bitmask.message(), HasSubstr("weights; expected 540"));
  Damaged rows(Sample(weights("int4"), SparsityPattern::parse("50%:rows")).packed());
  rows.part(PackedPart::kPositions)[0] ^= std::byte{1};
  EXPECT_THAT(rows.message(), HasSubstr("of 13 units; expected 7"));
  const Sample blocks(weights("int4"), SparsityPattern::parse("50%:block=1x16"));
  Damaged listed(blocks.packed("block_rows"));
  listed.part(PackedPart::kPositions)[4] = std::byte{200};
  EXPECT_THAT(listed.message(), HasSubstr("row of blocks 0"));
}

TEST(Packed, RowsThatKeepAnotherNumberThanTheyMustAreRefused) {
  const Sample sample(weights("int4"), SparsityPattern::parse("50%:row"));
  Damaged damaged(sample.packed("bitmask"));
  auto& bits = damaged.part(PackedPart::kPositions);
  const size_t stride = (kCols + 7) / 8;
  for (size_t i = 0; i < stride; ++i) std::swap(bits[i], bits[stride + i]);
  EXPECT_EQ(damaged.message(), "");  // two sound rows
  bits[0] = std::byte{0xff};
  EXPECT_THAT(damaged.message(), HasSubstr("positions of row 0 keep"));
}

TEST(Packed, CodesThatTheElementDoesNotHaveAreRefused) {
  for (const char* spelling : {"int4:narrow", "int3:narrow", "ternary", "fp8_e4m3"}) {
    Damaged damaged(Sample(weights(spelling), std::nullopt).packed());
    auto& codes = damaged.part(PackedPart::kCodes);
    const bool is_float = spelling[0] == 'f';
    std::fill(codes.begin(), codes.end(), is_float ? std::byte{0x7f} : std::byte{0});
    if (std::string_view(spelling) == "int4:narrow") codes[0] = std::byte{0x08};
    if (std::string_view(spelling) == "int3:narrow") codes[(kCols * 2) / 8 + 1] = std::byte{0xff};
    if (std::string_view(spelling) == "ternary") codes[0] = std::byte{0x02};
    EXPECT_THAT(damaged.message(), HasSubstr("does not have")) << spelling;
  }
}

TEST(Packed, ScalesThatAreNotFiniteAreRefused) {
  Damaged damaged(Sample(weights("int4:g16"), std::nullopt).packed());
  damaged.part(PackedPart::kScales)[0] = std::byte{0xc0};
  damaged.part(PackedPart::kScales)[1] = std::byte{0x7f};
  EXPECT_THAT(damaged.message(), HasSubstr("the scale of row 0, block 0 is nan"));
}

TEST(Packed, OrdersThatLackAColumnAreRefused) {
  Sample sample(weights("int4:g16"), std::nullopt);
  sample.quantized.column_order = shuffled_columns();
  for (const auto& [first, message] : {std::pair{35, "has 35 at place 1; expected each of the 83"},
                                       {83, "has 83 at place 0; expected each of the 83"}}) {
    Damaged damaged(sample.packed());
    damaged.part(PackedPart::kColumnOrder)[0] = static_cast<std::byte>(first);
    EXPECT_THAT(damaged.message(), HasSubstr(message));
  }
}

TEST(Packed, PartsOfAnotherSizeAreRefused) {
  Damaged damaged(Sample(weights("int4:g16"), std::nullopt).packed());
  damaged.part(PackedPart::kCodes).pop_back();
  EXPECT_THAT(damaged.message(), HasSubstr("codes take 545 bytes; expected 546"));
}

TEST(Packed, AFourBitRunHasNeighboursInOneByteAndAThreeBitRunItsHighBitsLast) {
  std::vector<std::byte> bytes;
  append_run(bytes, std::vector<uint32_t>{1, 2, 3}, 4);
  EXPECT_EQ(bytes, (std::vector<std::byte>{std::byte{0x21}, std::byte{0x03}}));
  bytes.clear();
  append_run(bytes, std::vector<uint32_t>{0b101, 0b010, 0b111, 0b100, 0, 0, 0, 0}, 3);
  EXPECT_EQ(bytes,
            (std::vector<std::byte>{std::byte{0b00111001}, std::byte{0}, std::byte{0b00001101}}));
}

}  // namespace
}  // namespace scant
