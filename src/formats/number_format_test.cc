#include "formats/number_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

constexpr Role kRoles[] = {Role::kWeight, Role::kActivation};

std::string refusal_of(std::string_view spelling, Role role = Role::kWeight) {
  try {
    NumberFormat::parse(spelling, role);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(NumberFormat, EveryExampleIsTheShortestSpellingOfItsFormat) {
  for (const Role role : kRoles) {
    const std::vector<std::string> examples = number_format_examples(role);
    EXPECT_GT(examples.size(), 300u);
    for (const std::string& spelling : examples) {
      const NumberFormat format = NumberFormat::parse(spelling, role);
      EXPECT_EQ(format.spelling(), spelling);
      EXPECT_EQ(format.role, role);
      EXPECT_EQ(NumberFormat::parse(format.spelling(), role), format);
    }
    EXPECT_EQ(std::set<std::string>(examples.begin(), examples.end()).size(), examples.size());
  }
}

TEST(NumberFormat, DefaultsFollowTheRoleAndTheElement) {
  using Kind = Granularity::Kind;
  const auto parsed = [](std::string_view text, Role role = Role::kWeight) {
    return NumberFormat::parse(text, role);
  };
  EXPECT_EQ(parsed("int8").granularity, (Granularity{Kind::kRow, 0}));
  EXPECT_EQ(parsed("int8", Role::kActivation).granularity, (Granularity{Kind::kRow, 0}));
  EXPECT_EQ(parsed("int8").scale_storage, ScaleStorage::kF32);
  EXPECT_EQ(parsed("int4:g128").scale_storage, ScaleStorage::kBF16);
  EXPECT_EQ(parsed("int4:tensor").scale_storage, ScaleStorage::kF32);
  EXPECT_EQ(parsed("mxfp4").granularity, (Granularity{Kind::kGroup, 32}));
  EXPECT_EQ(parsed("mxfp4").scale_storage, ScaleStorage::kE8M0);
  EXPECT_EQ(parsed("hbfp6").granularity, (Granularity{Kind::kGroup, 64}));
  EXPECT_EQ(parsed("nvfp4").granularity, (Granularity{Kind::kGroup, 16}));
  EXPECT_EQ(parsed("nvfp4").scale_storage, ScaleStorage::kE4M3);
  EXPECT_EQ(parsed("nf4").granularity, (Granularity{Kind::kGroup, 64}));
  EXPECT_EQ(parsed("nf4").scale_storage, ScaleStorage::kBF16);
  EXPECT_EQ(NumberFormat{}, parsed("fp32"));
}

TEST(NumberFormat, PartsMayComeInAnyOrderAndDefaultsAreLeftOut) {
  const auto respelled = [](std::string_view text, Role role = Role::kWeight) {
    return NumberFormat::parse(text, role).spelling();
  };
  EXPECT_EQ(respelled("int4:mse:asym:g128"), "int4:g128:asym:mse");
  EXPECT_EQ(respelled("int4:scale=bf16:g128"), "int4:g128");
  EXPECT_EQ(respelled("int4:g128:scale=fp32"), "int4:g128:scale=fp32");
  EXPECT_EQ(respelled("int8:channel"), "int8");
  EXPECT_EQ(respelled("int8:token", Role::kActivation), "int8");
  EXPECT_EQ(respelled("mxfp4:block=32"), "mxfp4");
  EXPECT_EQ(respelled("hbfp8:block=32"), "hbfp8:block=32");
  EXPECT_EQ(respelled("nf4:channel"), "nf4:channel");
}

TEST(NumberFormat, AnUnknownOrContradictoryPartIsNamedWithWhatIsAllowed) {
  using testing::AllOf;
  using testing::HasSubstr;
  EXPECT_THAT(refusal_of("int9"), AllOf(HasSubstr("unknown element \"int9\""),
                                        HasSubstr("int2 to int8"), HasSubstr("nvfp4")));
  EXPECT_THAT(refusal_of("int4:block=32"),
              AllOf(HasSubstr("\"block=32\" does not apply to int4"), HasSubstr(":gN"),
                    HasSubstr(":channel"), HasSubstr("scale=fp32|bf16|fp16|e8m0|e4m3")));
  EXPECT_THAT(refusal_of("mxfp4:asym"),
              AllOf(HasSubstr("\"asym\" does not apply to mxfp4"), HasSubstr(":block=N")));
  EXPECT_THAT(refusal_of("mxfp4:g32"), HasSubstr("\"g32\" does not apply"));
  EXPECT_THAT(refusal_of("mxfp4:scale=e8m0"), HasSubstr("\"scale=e8m0\" does not apply"));
  EXPECT_THAT(refusal_of("int4:narrow:asym"), HasSubstr("\"asym\" contradicts \"narrow\""));
  EXPECT_THAT(refusal_of("int4:mse:stoch"), HasSubstr("\"mse\" contradicts \"stoch\""));
  EXPECT_THAT(refusal_of("int4:g32:g64"), HasSubstr("\"g64\" contradicts"));
  EXPECT_THAT(refusal_of("int4:tensor:channel"), HasSubstr("\"channel\" contradicts"));
  EXPECT_THAT(refusal_of("int4:scale=bf16:scale=fp16"), HasSubstr("\"scale=fp16\" contradicts"));
  EXPECT_THAT(refusal_of("int4:mse:mse"), HasSubstr("\"mse\" twice"));
  EXPECT_THAT(refusal_of("int4:scale=int8"),
              AllOf(HasSubstr("\"scale=int8\""), HasSubstr("scale=fp32|bf16|fp16|e8m0|e4m3")));
  EXPECT_THAT(refusal_of("binary:scale=e8m0"), HasSubstr("allowed: scale=fp32|bf16|fp16|e4m3"));
  EXPECT_THAT(refusal_of("int8:token"), HasSubstr("\"token\" does not apply to int8 of weights"));
  EXPECT_THAT(refusal_of("int8:channel", Role::kActivation),
              AllOf(HasSubstr("int8 of activations"), HasSubstr(":token")));
  EXPECT_THAT(refusal_of("bf16:mse"), HasSubstr("allowed after it: nothing"));
  EXPECT_THAT(refusal_of("int4:"), HasSubstr("empty part"));
  EXPECT_THAT(refusal_of(""), HasSubstr("unknown element \"\""));
  for (const char* wrong :
       {"int1", "int08", "int", "INT8", "int8 ", "fp8_e4m4", "fp9_e4m4", "fp8_e0m7", "fp8e4m3",
        "fp8_e8m0", "hbfp5", "hbfp", "mxfp4_e2m1", "nf4 ", "fp64", "ternary2"}) {
    EXPECT_THAT(refusal_of(wrong), HasSubstr("unknown element")) << wrong;
  }
}

TEST(NumberFormat, GroupSizesAreGuarded) {
  using testing::HasSubstr;
  EXPECT_EQ(NumberFormat::parse("int4:g1073741824", Role::kWeight).granularity.size, 1 << 30);
  for (const char* wrong :
       {"int4:g", "int4:g0", "int4:g-1", "int4:g032", "int4:g1073741825",
        "int4:g99999999999999999999999999", "int4:g3.5", "int4:g1e3",
        "mxint8:block=", "mxint8:block=0", "mxint8:block=18446744073709551617"}) {
    EXPECT_THAT(refusal_of(wrong), HasSubstr("is no size; allowed: ")) << wrong;
  }
}

TEST(NumberFormat, AMessageStaysOneShortLineWhateverTheSpelling) {
  const std::string message = refusal_of(std::string(5000, '\n') + "\x01\xff\"");
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_LT(message.size(), 1000u);
  EXPECT_THAT(message, testing::HasSubstr("\\x0a"));
}

TEST(NumberFormat, BlocksScalesAndZeroPointsAreCounted) {
  const auto parsed = [](std::string_view text, Role role = Role::kWeight) {
    return NumberFormat::parse(text, role);
  };
  EXPECT_EQ(parsed("int8").block_count(7, 100), 7);
  EXPECT_EQ(parsed("int8:tensor").block_count(7, 100), 1);
  EXPECT_EQ(parsed("int4:g32").block_count(7, 100), 28);
  EXPECT_EQ(parsed("int4:g1073741824").block_count(7, 100), 7);
  EXPECT_EQ(parsed("bf16").block_count(7, 100), 0);
  EXPECT_EQ(parsed("bf16").scale_bits(), 0);
  EXPECT_EQ(parsed("bf16").code_bits(), 16);
  EXPECT_EQ(parsed("int4:asym").zero_point_bits(), 4);
  EXPECT_EQ(parsed("int4").zero_point_bits(), 0);
  EXPECT_EQ(parsed("int4").scale_bits(), 32);
  EXPECT_EQ(parsed("mxfp6_e3m2").scale_bits(), 8);
  EXPECT_EQ(parsed("mxfp6_e3m2").code_bits(), 6);
  EXPECT_EQ(parsed("nvfp4").tensor_scale_count(7), 1);
  EXPECT_EQ(parsed("nvfp4", Role::kActivation).tensor_scale_count(7), 7);
  EXPECT_EQ(parsed("mxfp4").tensor_scale_count(7), 0);
}

TEST(NumberFormat, ThePremisesOfTheOrderTheoremsHoldExactlyWhereStated) {
  for (const char* yes : {"int8", "int4:narrow", "fp8_e4m3:g32", "mxfp4", "mxint8", "nvfp4",
                          "hbfp4", "fp32", "int4:scale=e8m0"}) {
    EXPECT_TRUE(NumberFormat::parse(yes, Role::kWeight).max_scaled()) << yes;
  }
  for (const char* no : {"int8:asym", "int4:mse", "int4:stoch", "nf4", "ternary", "binary",
                         "mxfp4:mse", "hbfp8:stoch"}) {
    EXPECT_FALSE(NumberFormat::parse(no, Role::kWeight).max_scaled()) << no;
  }
}

TEST(NumberFormat, HelpHasALineForEveryFamily) {
  for (const Role role : kRoles) {
    const std::vector<ElementHelp> help = number_format_help(role);
    const size_t weights_only = role == Role::kWeight ? 0 : 1;  // gguf_block
    EXPECT_EQ(help.size(), std::variant_size_v<Element> - weights_only);
    for (const ElementHelp& line : help) {
      EXPECT_FALSE(line.family.empty());
      EXPECT_FALSE(line.syntax.empty());
      EXPECT_FALSE(line.meaning.empty());
      EXPECT_EQ(line.parts.empty(), line.family == "plain" || line.family == "gguf_block");
    }
  }
}

TEST(NumberFormat, TheDocumentationListsEveryFamilyAndItsExamplesParse) {
  const std::string document = read_file(SCANT_SOURCE_DIR "/docs/formats/numbers.md");
  for (const ElementHelp& line : number_format_help(Role::kWeight)) {
    const std::string row = "| `" + line.syntax + "` | " + line.meaning + " |";
    EXPECT_THAT(document, testing::HasSubstr(row));
  }
  const size_t begin = document.find("\n## Examples\n");
  ASSERT_NE(begin, std::string::npos);
  std::istringstream lines(
      document.substr(begin + 14, document.find("\n## ", begin + 1) - begin - 14));
  int examples = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("    ")) continue;
    const std::string spelling = line.substr(4);
    const Role role =
        spelling.find(":token") == std::string::npos ? Role::kWeight : Role::kActivation;
    EXPECT_NO_THROW(NumberFormat::parse(spelling, role)) << spelling;
    ++examples;
  }
  EXPECT_GE(examples, 10);
}

}  // namespace
}  // namespace scant
