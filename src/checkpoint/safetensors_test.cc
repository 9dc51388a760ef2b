#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/tensor_table.h"
#include "checkpoint/testing_files.h"

namespace scant {
namespace {

using testing::HasSubstr;

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), "m.safetensors");
}

std::string refusal(const std::string& header, size_t data_bytes = 0) {
  const std::string file = safetensors_bytes(header, std::string(data_bytes, '\0'));
  return error_of([&] { parse(file); });
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, TensorsComeByOffsetWithShapeTypeAndMetadata) {
  const SafetensorsHeader header = parse(safetensors_bytes(
      R"({"b":)" + entry("BF16", "[2,3]", "[4,16]") + R"(,"__metadata__":{"format":"pt"},"a":)" +
          entry("F32", "[]", "[0,4]") + "}   ",
      std::string(16, '\0')));
  ASSERT_EQ(header.entries.size(), 2u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_EQ(header.entries[0].shape, Shape{});
  EXPECT_EQ(header.entries[0].dtype, DType::kF32);
  EXPECT_EQ(header.entries[1].name, "b");
  EXPECT_EQ(header.entries[1].shape, (Shape{2, 3}));
  EXPECT_EQ(header.entries[1].end, 16u);
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(Safetensors, AFileWithoutTensorsAndEmptyTensorsAreValid) {
  EXPECT_TRUE(parse(safetensors_bytes("{}")).entries.empty());
  const auto header = parse(safetensors_bytes(R"({"a":)" + entry("F16", "[0,5]", "[0,0]") + "}"));
  EXPECT_EQ(header.entries.at(0).shape, (Shape{0, 5}));
}

TEST(Safetensors, TypesOfNewerToolsAreListedWithoutADType) {
  const auto header =
      parse(safetensors_bytes(R"({"a":)" + entry("F4", "[4]", "[0,2]") + "}", "xx"));
  EXPECT_EQ(header.entries.at(0).type, "F4");
  EXPECT_FALSE(header.entries.at(0).dtype.has_value());
}

TEST(Safetensors, ATruncatedFileIsRefusedAtEveryLength) {
  const std::string whole =
      safetensors_bytes(R"({"a":)" + entry("F32", "[2]", "[0,8]") + "}", std::string(8, '\0'));
  EXPECT_NO_THROW(parse(whole));
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(error_of([&] { parse(whole.substr(0, length)); }), HasSubstr("m.safetensors"));
  }
  EXPECT_THAT(error_of([&] { parse(whole.substr(0, whole.size() - 1)); }),
              HasSubstr("tensor \"a\" is truncated"));
  EXPECT_THAT(error_of([&] { parse(whole + "x"); }), HasSubstr("1 bytes after its last tensor"));
}

TEST(Safetensors, AnAbsurdHeaderLengthIsRefusedWithoutReadingIt) {
  std::string file(64, '\xff');
  EXPECT_THAT(error_of([&] { parse(file); }), HasSubstr("claims a header of"));
  file = std::string("\0\xe1\xf5\x05\0\0\0\0", 8) + "{}";  // 100 million, within the limit
  EXPECT_THAT(error_of([&] { parse(file); }), HasSubstr("is truncated"));
}

TEST(Safetensors, AHeaderThatIsNotOneJsonObjectIsRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("begins with \"{\""));
  EXPECT_THAT(refusal("[]"), HasSubstr("begins with \"{\""));
  EXPECT_THAT(refusal("\xef\xbb\xbf{}"), HasSubstr("begins with \"{\""));
  EXPECT_THAT(refusal(" {}"), HasSubstr("begins with \"{\""));
  EXPECT_THAT(refusal(std::string("{}\0\0", 4)), HasSubstr("is not JSON text"));
  EXPECT_THAT(refusal("{} {}"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(refusal(R"({"a":)"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(refusal(R"({"a":1e999})"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(refusal("{\"\xff\":{}}"), HasSubstr("not valid JSON at byte"));
}

TEST(Safetensors, FieldsOfTheWrongKindAreRefusedByName) {
  EXPECT_THAT(refusal(R"({"a":3})"), HasSubstr("entry \"a\" is the number 3; expected an object"));
  EXPECT_THAT(refusal(R"({"a":null})"), HasSubstr("is null"));
  EXPECT_THAT(refusal(R"({"a":[]})"), HasSubstr("is an array"));
  EXPECT_THAT(refusal(R"({"a":"b"})"), HasSubstr("is text \"b\""));
  EXPECT_THAT(refusal(R"({"a":{}})"), HasSubstr("tensor \"a\" lacks one of"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"x":1}})"), HasSubstr("expected text"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"x":{}}})"), HasSubstr("expected text"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":1}})"), HasSubstr("has the number 1 in \"dtype\""));
  EXPECT_THAT(refusal(R"({"a":{"shape":"x"}})"), HasSubstr("in \"shape\""));
  EXPECT_THAT(refusal(R"({"a":{"shape":[true]}})"), HasSubstr("true or false"));
  EXPECT_THAT(refusal(R"({"a":{"shape":[[1]]}})"), HasSubstr("an array"));
  EXPECT_THAT(refusal(R"({"a":{"shape":[-1]}})"), HasSubstr("the number -1"));
  EXPECT_THAT(refusal(R"({"a":{"shape":[1.5]}})"), HasSubstr("not an integer"));
  EXPECT_THAT(refusal(R"({"a":{"colour":1}})"), HasSubstr("unknown field \"colour\""));
  EXPECT_THAT(refusal(R"({"a":)" + entry("F32", "[1]", "[0]") + "}", 4), HasSubstr("fewer than"));
  EXPECT_THAT(refusal(R"({"a":)" + entry("F32", "[1]", "[0,4,4]") + "}", 4),
              HasSubstr("more than two"));
  EXPECT_THAT(refusal(R"({"a":)" + entry("F31", "[1]", "[0,4]") + "}", 4),
              HasSubstr("unknown dtype \"F31\""));
  EXPECT_THAT(refusal(R"({"":)" + entry("F32", "[1]", "[0,4]") + "}", 4),
              HasSubstr("without a name"));
}

TEST(Safetensors, WhatIsThereTwiceIsRefused) {
  const std::string a = R"("a":)" + entry("F32", "[1]", "[0,4]");
  const std::string empty = R"("a":)" + entry("F32", "[0]", "[0,0]");
  EXPECT_THAT(refusal("{" + a + "," + a + "}", 4), HasSubstr("tensor \"a\""));
  EXPECT_THAT(refusal("{" + empty + "," + empty + "}"), HasSubstr("tensor \"a\" is there twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","dtype":"F16"}})"), HasSubstr("has dtype twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})"), HasSubstr("twice"));
}

TEST(Safetensors, HolesOverlapsAndWrongShapesAreRefusedByName) {
  const auto two = [&](const std::string& a, const std::string& b) {
    return refusal(R"({"a":)" + entry("F32", "[1]", a) + R"(,"b":)" + entry("F32", "[2]", b) + "}",
                   12);
  };
  EXPECT_THAT(two("[0,4]", "[8,16]"), HasSubstr("tensor \"b\" begins at 8 after a hole of 4"));
  EXPECT_THAT(two("[8,12]", "[4,12]"), HasSubstr("tensor \"b\" begins at 4 after a hole of 4"));
  EXPECT_THAT(two("[0,4]", "[2,10]"), HasSubstr("tensor \"b\" overlaps tensor \"a\""));
  EXPECT_THAT(two("[0,4]", "[4,10]"), HasSubstr("tensor \"b\" of F32 [2] needs 8 bytes"));
  EXPECT_THAT(two("[0,4]", "[12,4]"), HasSubstr("needs 8 bytes; its data_offsets are [12, 4]"));
  EXPECT_THAT(two("[0,4]", "[18446744073709551612,4]"), HasSubstr("tensor \"b\""));
}

TEST(Safetensors, ProductsThatOverflowAreRefused) {
  const auto shape = [&](const std::string& extents, const std::string& offsets) {
    return refusal(R"({"a":)" + entry("F32", extents, offsets) + "}");
  };
  EXPECT_THAT(shape("[4611686018427387904,4]", "[0,0]"), HasSubstr("absurdly large"));
  EXPECT_THAT(shape("[0,4294967296,4294967296]", "[0,0]"), HasSubstr("absurdly large"));
  EXPECT_THAT(shape("[9223372036854775808]", "[0,0]"), HasSubstr("dimension"));
  EXPECT_THAT(shape("[18446744073709551616]", "[0,0]"), HasSubstr("not an integer"));
  std::string extents = "[1";
  for (int i = 0; i < 64; ++i) extents += ",1";
  EXPECT_THAT(shape(extents + "]", "[0,4]"), HasSubstr("more than 64 dimensions"));
  EXPECT_THAT(refusal(R"({"a":)" + entry("F4", "[3]", "[0,2]") + "}", 2),
              HasSubstr("does not fill whole bytes"));
}

TEST(Safetensors, DeepNestingCostsNoMemory) {
  EXPECT_THAT(refusal(R"({"a":)" + std::string(1 << 20, '[')), HasSubstr("is an array"));
}

TEST(QuotedName, IsOnePrintableLineWhateverTheName) {
  EXPECT_EQ(quoted_name("a.b"), "\"a.b\"");
  EXPECT_EQ(quoted_name("\xc3\xa9\n\xff"), "\"\xc3\xa9\\x0a\\xff\"");
  EXPECT_EQ(quoted_name(std::string(300, 'x')), "\"" + std::string(200, 'x') + "...\"");
}

TEST(Utf8, OverlongFormsSurrogatesAndBrokenSequencesAreNotUtf8) {
  EXPECT_TRUE(is_utf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82"));
  for (const char* text : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80",
                           "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"}) {
    EXPECT_FALSE(is_utf8(text)) << quoted_name(text);
  }
}

}  // namespace
}  // namespace scant
