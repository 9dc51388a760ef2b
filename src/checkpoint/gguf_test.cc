#include "checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "checkpoint/testing_files.h"
#include "core/file_map.h"

namespace scant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Builder = GgufBuilder;

GgufFile parse(const std::string& bytes) {
  return GgufFile(std::as_bytes(std::span(bytes)), "m.gguf");
}

std::string refusal(const std::string& bytes) {
  return error_of([&] { parse(bytes); });
}

std::string refusal(const Builder& builder) { return refusal(builder.bytes()); }

TEST(GgufBlocks, EveryTypeGivesTheReferenceReadersValuesBitForBit) {
  const FileMap map(std::string(SCANT_SOURCE_DIR) + "/tests/goldens/gguf/block_types.gguf");
  const GgufFile file(map.bytes(), map.path());
  std::string seen;
  for (size_t i = 0; i + 1 < file.tensors().size(); i += 2) {
    const GgufTensor& blocks = file.tensors()[i];
    const GgufTensor& values = file.tensors()[i + 1];
    ASSERT_EQ(values.name, std::string(blocks.name) + ".values");
    ASSERT_EQ(blocks.name, blocks.type->name);
    seen.append(seen.empty() ? "" : ", ").append(blocks.name);
    const auto size = static_cast<size_t>(element_count(blocks.shape));
    std::vector<float> expected(size), actual(size);
    read_gguf_values(*values.type, values.data, 0, expected);
    read_gguf_values(*blocks.type, blocks.data, 0, actual);
    for (size_t j = 0; j < size; ++j) {
      ASSERT_EQ(std::bit_cast<uint32_t>(actual[j]), std::bit_cast<uint32_t>(expected[j]))
          << blocks.name << " element " << j << ": " << actual[j] << " and " << expected[j];
    }
    // Any range, also one that begins and ends inside blocks.
    std::vector<float> part(size / 2);
    read_gguf_values(*blocks.type, blocks.data, 7, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), expected.begin() + 7)) << blocks.name;
  }
  EXPECT_EQ(seen, readable_gguf_types());
}

TEST(Gguf, KeysOfEveryTypeAreRead) {
  Builder builder;
  builder.key("u8", 0, "\x07").key("i8", 1, "\xff").key("u16", 2, Builder::number<uint16_t>(9));
  builder.key("i16", 3, Builder::number<int16_t>(-9)).u32("u32", 70000);
  builder.key("i32", 5, Builder::number<int32_t>(5)).f32("f32", 1e-5f);
  builder.key("bool", 7, "\x01").str("text", "a\xc3\xa9");
  builder.key("u64", 10, Builder::number<uint64_t>(1) + "")
      .key("i64", 11, Builder::number<int64_t>(2));
  builder.key("f64", 12, Builder::number(0.25));
  builder.array("texts", 8, 2, Builder::text("x") + Builder::text(""));
  builder.array("floats", 6, 1, Builder::number(2.5f))
      .array("ints", 5, 1, Builder::number<int32_t>(-4));
  const std::string bytes = builder.bytes();
  const GgufFile file = parse(bytes);
  EXPECT_EQ(file.integer("u8"), 7);
  EXPECT_EQ(file.integer("u16"), 9);
  EXPECT_EQ(file.integer("u32"), 70000);
  EXPECT_EQ(file.integer("i32"), 5);
  EXPECT_EQ(file.integer("u64"), 1);
  EXPECT_EQ(file.integer("i64"), 2);
  EXPECT_EQ(file.number("f32"), 1e-5);  // the double nearest to the decimal, not to the float
  EXPECT_EQ(file.number("f64"), 0.25);
  EXPECT_EQ(file.boolean("bool"), true);
  EXPECT_EQ(file.text("text"), "a\xc3\xa9");
  EXPECT_THAT(*file.texts("texts"), ElementsAre("x", ""));
  EXPECT_THAT(*file.floats("floats"), ElementsAre(2.5f));
  EXPECT_THAT(*file.integers("ints"), ElementsAre(-4));
  EXPECT_FALSE(file.integer("absent") || file.number("absent") || file.boolean("absent") ||
               file.text("absent") || file.texts("absent") || file.floats("absent") ||
               file.integers("absent"));
  for (const char* key : {"i8", "i16", "f32", "text"}) {
    EXPECT_THAT(error_of([&] { static_cast<void>(file.integer(key)); }), HasSubstr(key));
  }
  EXPECT_THAT(error_of([&] { static_cast<void>(file.number("u8")); }), HasSubstr("key u8 is not"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.text("u8")); }), HasSubstr("is not text"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.boolean("u8")); }), HasSubstr("boolean"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.texts("ints")); }),
              HasSubstr("array of texts"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.floats("u8")); }), HasSubstr("of float32"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.integers("texts")); }), HasSubstr("of int32"));
}

TEST(Gguf, TensorsComeWithShapeOutermostFirstAndTheirData) {
  Builder builder;
  builder.alignment = 64;
  builder.u32("general.alignment", 64);
  builder.floats("a", {2}, {1, 2}).floats("b", {1, 2}, {3, 4}).tensor("s", {}, 1, "xx");
  const std::string bytes = builder.bytes();
  const GgufFile file = parse(bytes);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[1].shape, (Shape{2, 1}));
  EXPECT_EQ(file.tensors()[2].shape, Shape{});
  std::vector<float> values(2);
  read_gguf_values(*file.tensors()[1].type, file.tensors()[1].data, 0, values);
  EXPECT_THAT(values, ElementsAre(3, 4));
}

TEST(Gguf, ATruncatedFileIsRefusedAtEveryLength) {
  Builder builder;
  builder.str("k", "v").array("a", 8, 2, Builder::text("x") + Builder::text("y"));
  builder.tensor("t", {32}, 8, std::string(34, 'x'));
  const std::string whole = builder.bytes();
  const size_t data_end = whole.size() - 30;  // the padding after the last tensor may be missing
  EXPECT_NO_THROW(parse(whole.substr(0, data_end)));
  for (size_t length = 0; length < data_end; ++length) {
    EXPECT_THAT(refusal(whole.substr(0, length)), HasSubstr("m.gguf: "));
  }
  EXPECT_THAT(refusal(whole.substr(0, data_end - 1)), HasSubstr("tensor \"t\" is truncated"));
}

TEST(Gguf, OtherMagicVersionsAndByteOrdersAreRefused) {
  EXPECT_THAT(refusal("GGML" + std::string(60, '\0')), HasSubstr("does not begin with \"GGUF\""));
  Builder builder;
  builder.version = 1;
  EXPECT_THAT(refusal(builder), HasSubstr("is GGUF version 1; expected 3"));
  builder.version = 0x03000000;
  EXPECT_THAT(refusal(builder), HasSubstr("big-endian"));
  builder.version = 2;
  EXPECT_EQ(parse(builder.bytes()).version(), 2u);
}

TEST(Gguf, AbsurdCountsCostNothing) {
  for (const uint64_t count : {uint64_t{1} << 32, uint64_t{1} << 63, ~uint64_t{0}}) {
    Builder builder;
    builder.key_count = count;
    EXPECT_THAT(refusal(builder), HasSubstr("is truncated"));
    builder.key_count = 0;
    builder.tensor_count = count;
    EXPECT_THAT(refusal(builder), HasSubstr("is truncated"));
    for (const uint32_t type : {0u, 4u, 8u, 12u}) {
      EXPECT_THAT(refusal(Builder().array("list", type, count, "")), HasSubstr("key \"list\""));
    }
    EXPECT_THAT(refusal(Builder().key("long", 8, Builder::number(count))),
                HasSubstr("key \"long\""));
  }
}

TEST(Gguf, FaultsOfKeysAreRefusedByName) {
  EXPECT_THAT(refusal(Builder().u32("a", 1).u32("a", 2)), HasSubstr("key \"a\" is there twice"));
  EXPECT_THAT(refusal(Builder().u32("", 1)), HasSubstr("not a name in UTF-8"));
  EXPECT_THAT(refusal(Builder().u32("\xff", 1)), HasSubstr("key \"\\xff\" (number 0)"));
  EXPECT_THAT(refusal(Builder().key("a", 13, "")), HasSubstr("unknown value type 13"));
  EXPECT_THAT(refusal(Builder().array("a", 13, 1, "")), HasSubstr("unknown value type 13"));
  EXPECT_THAT(refusal(Builder().array("a", 9, 1, std::string(12, '\0'))),
              HasSubstr("array of arrays"));
}

TEST(Gguf, FaultsOfTensorsAreRefusedByName) {
  const auto shape = [](const std::vector<uint64_t>& extents, uint32_t type = 0) {
    return refusal(Builder().tensor("t", extents, type, ""));
  };
  EXPECT_THAT(shape({1, 1, 1, 1, 1}), HasSubstr("tensor \"t\" has 5 dimensions"));
  EXPECT_THAT(shape({0}), HasSubstr("an extent of 0"));
  EXPECT_THAT(shape({uint64_t{1} << 32, uint64_t{1} << 32}),
              HasSubstr("tensor \"t\" has an extent"));
  EXPECT_THAT(shape({~uint64_t{0}}), HasSubstr("an extent of"));
  EXPECT_THAT(shape({uint64_t{1} << 60}), HasSubstr("an extent of"));
  EXPECT_THAT(shape({uint64_t{1} << 59}), HasSubstr("is truncated"));
  EXPECT_THAT(shape({33}, 2), HasSubstr("rows of 33 values; Q4_0 needs a multiple of 32"));
  EXPECT_THAT(shape({256}, 16), HasSubstr("has type IQ2_XXS; supported are F32, F16, BF16, Q8_0"));
  EXPECT_THAT(shape({256}, 99), HasSubstr("has type number 99; supported are"));
  EXPECT_THAT(refusal(Builder().floats("", {1}, {1})), HasSubstr("no proper name"));
  EXPECT_THAT(refusal(Builder().floats("\xc0", {1}, {1})), HasSubstr("no proper name"));
  EXPECT_THAT(refusal(Builder().floats(std::string(65, 'x'), {1}, {1})), HasSubstr("1 to 64"));
  EXPECT_THAT(refusal(Builder().floats("t", {1}, {1}).floats("t", {1}, {1})),
              HasSubstr("tensor \"t\" is there twice"));
}

TEST(Gguf, OffsetsOtherThanTheRunningSumAreRefused) {
  const std::string data(8, 'x');
  for (const uint64_t offset : {uint64_t{0}, uint64_t{8}, uint64_t{64}, ~uint64_t{0}}) {
    EXPECT_THAT(refusal(Builder().tensor("a", {2}, 0, data).tensor("b", {2}, 0, data, offset)),
                HasSubstr("tensor \"b\" is at offset"));
  }
}

TEST(Gguf, AnAlignmentThatIsNoPowerOfTwoIsRefused) {
  for (const uint32_t alignment : {0u, 3u, 48u}) {
    EXPECT_THAT(refusal(Builder().u32("general.alignment", alignment)),
                HasSubstr("expected a power of two"));
  }
  EXPECT_THAT(refusal(Builder().str("general.alignment", "32")), HasSubstr("not an integer"));
  EXPECT_THAT(refusal(Builder().u32("general.alignment", 1u << 30).floats("t", {1}, {1})),
              HasSubstr("tensor \"t\" is truncated"));
}

}  // namespace
}  // namespace scant
