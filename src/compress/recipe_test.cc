#include "compress/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace scant {
namespace {

using testing::HasSubstr;

std::string message_of(const std::string& yaml) {
  try {
    Recipe::parse_yaml(yaml, "recipe.yaml");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

constexpr const char* kFull = R"(version: 1
seed: 7
only: ['self_attn']
skip: ["layers\\.0\\."]
include: ["lm_head"]
steps:
  - step: quantize
    format: int4:g128
    method: rtn
    overrides:
      - match: down_proj
        format: int8
      - match: "layers\\.3\\."
        none: true
  - step: sparsify
    pattern: "2:4"
  - step: activations
    format: int8
)";

TEST(Recipe, WritingAndReadingGivesTheSameRecipe) {
  const Recipe recipe = Recipe::parse_yaml(kFull, "recipe.yaml");
  const std::string text = recipe.to_yaml();
  EXPECT_EQ(Recipe::parse_yaml(text, "again").to_yaml(), text);
  EXPECT_THAT(text, HasSubstr("\"2:4\""));
  EXPECT_EQ(recipe.seed, 7u);
  EXPECT_EQ(recipe.steps.size(), 3u);
}

TEST(Recipe, TheOrderOfStepsIsTheOrderOfApplication) {
  const Recipe quantize_first = Recipe::parse_yaml(kFull, "r");
  EXPECT_EQ(plan_layer(quantize_first, "model.layers.1.self_attn.q_proj").weights.order,
            Order::kQuantizeFirst);
  const Recipe sparsify_first = Recipe::parse_yaml(
      "steps: [{step: sparsify, pattern: '2:4'}, {step: quantize, format: int8}]", "r");
  EXPECT_EQ(plan_layer(sparsify_first, "x").weights.order, Order::kSparsifyFirst);
  const Recipe joint =
      Recipe::parse_yaml("steps: [{step: joint, pattern: '2:4', format: int8}]", "r");
  EXPECT_EQ(plan_layer(joint, "x").weights.order, Order::kJoint);
}

TEST(Recipe, AnOverrideReplacesFormatsForMatchingNamesAndTheLastOneWins) {
  const Recipe recipe = Recipe::parse_yaml(kFull, "r");
  const LayerPlan down = plan_layer(recipe, "model.layers.1.mlp.down_proj");
  EXPECT_EQ(down.weights.format->spelling(), "int8");
  const LayerPlan third = plan_layer(recipe, "model.layers.3.mlp.down_proj");
  EXPECT_FALSE(third.weights.format.has_value());
  EXPECT_TRUE(third.weights.pattern.has_value());
  EXPECT_EQ(third.activation->spelling(), "int8");
}

TEST(Recipe, TransformsStandBeforeTheStepsAndAreReadBack) {
  const Recipe recipe = Recipe::parse_yaml(
      "steps: [{step: rotate, where: residual+down}, {step: smooth, alpha: 0.7}, "
      "{step: activations, format: 'int8:tensor', method: static, overrides: "
      "[{match: down, format: int8, method: 'crossquant:0.3'}]}]",
      "r");
  ASSERT_EQ(recipe.transforms.size(), 2u);
  EXPECT_TRUE(recipe.transforms[0].rotate_down);
  EXPECT_EQ(recipe.transforms[1].alpha, 0.7);
  EXPECT_EQ(plan_layer(recipe, "up").activation_method.spelling(), "static");
  EXPECT_EQ(plan_layer(recipe, "down").activation_method.spelling(), "crossquant:0.3");
  EXPECT_EQ(Recipe::parse_yaml(recipe.to_yaml(), "again").to_yaml(), recipe.to_yaml());
  const Recipe wrong =
      Recipe::parse_yaml("steps: [{step: activations, format: int8, method: static}]", "r");
  EXPECT_THROW(plan_layer(wrong, "up"), Error);
}

TEST(Recipe, AnOverrideBackToTheDefaultMethodSurvivesWriting) {
  const Recipe recipe = Recipe::parse_yaml(
      "steps: [{step: activations, format: 'int8:tensor', method: static, overrides: "
      "[{match: down, method: dynamic}]}]",
      "r");
  const Recipe again = Recipe::parse_yaml(recipe.to_yaml(), "again");
  EXPECT_EQ(plan_layer(again, "up").activation_method.spelling(), "static");
  EXPECT_EQ(plan_layer(again, "down").activation_method.spelling(), "dynamic");
}

TEST(Recipe, TwoStepsOfAKindOnOneLayerAreRefusedByName) {
  const Recipe recipe = Recipe::parse_yaml(
      "steps: [{step: quantize, format: int8}, {step: quantize, format: int4}]", "r");
  try {
    plan_layer(recipe, "model.layers.0.mlp.up_proj");
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("model.layers.0.mlp.up_proj"));
    EXPECT_THAT(error.what(), HasSubstr("two steps quantize it"));
  }
}

struct Fault {
  const char* yaml;
  const char* expected;
};

class RecipeFault : public testing::TestWithParam<Fault> {};

TEST_P(RecipeFault, NamesTheFileTheLineAndWhatWasExpected) {
  const std::string message = message_of(GetParam().yaml);
  EXPECT_THAT(message, HasSubstr("recipe.yaml"));
  EXPECT_THAT(message, HasSubstr(GetParam().expected));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, RecipeFault,
    testing::Values(
        Fault{"", "empty"}, Fault{"only: '\xff'\n", "not UTF-8"}, Fault{"[", "not YAML"},
        Fault{"steps: 3", "expected a list"}, Fault{"steps: []", "at least one step"},
        Fault{"steps:\n- step: prune\n", "unknown step"},
        Fault{"steps:\n- step: sparsify\n  pattern: '5:4'\n", "recipe.yaml:3"},
        Fault{"steps:\n- step: quantize\n  format: int99\n", "int99"},
        Fault{"steps:\n- step: quantize\n", "\"format\" is missing"},
        Fault{"steps:\n- step: sparsify\n", "\"pattern\" is missing"},
        Fault{"steps:\n- step: sparsify\n  pattern: '2:4'\n  format: int8\n", "not a format"},
        Fault{"steps:\n- step: quantize\n  format: int8\n  pattern: '2:4'\n", "not a pattern"},
        Fault{"steps:\n- step: activations\n  format: int8\n  method: rtn\n",
              "expected dynamic, static or crossquant"},
        Fault{"steps:\n- step: sparsify\n  pattern: '2:4'\n  method: ''\n",
              "recipe.yaml:4: method: empty; expected the name of a method"},
        Fault{"steps:\n- step: rotate\n  where: sideways\n", "residual or residual+down"},
        Fault{"steps:\n- step: rotate\n  alpha: 1\n", "unknown key \"alpha\""},
        Fault{"steps:\n- step: smooth\n  alpha: 2\n", "not a number from 0 to 1"},
        Fault{"steps:\n- step: smooth\n- step: rotate\n", "recipe.yaml:3"},
        Fault{"steps:\n- step: smooth\n- step: rotate\n", "expected rotate before smooth"},
        Fault{"steps:\n- step: smooth\n- step: smooth\n", "at most once"},
        Fault{"steps:\n- {step: quantize, format: int8}\n- step: rotate\n",
              "before the other steps"},
        Fault{"colour: red\n", "unknown key \"colour\""},
        Fault{"steps:\n- step: quantize\n  step: quantize\n  format: int8\n", "stands twice"},
        Fault{"seed: -1\nsteps:\n- {step: quantize, format: int8}\n", "not a whole number"},
        Fault{"version: 2\nsteps:\n- {step: quantize, format: int8}\n", "expected 1"},
        Fault{"only: '('\nsteps:\n- {step: quantize, format: int8}\n", "regular expression"},
        Fault{"steps:\n- step: quantize\n  format: int8\n  overrides: 3\n", "expected a list"},
        Fault{"steps:\n- step: quantize\n  format: int8\n  overrides: [{format: int4}]\n",
              "\"match\" is missing"},
        Fault{"steps:\n- step: quantize\n  format: int8\n  overrides: [{match: a}]\n",
              "changes nothing"},
        Fault{"steps:\n- step: quantize\n  format: int8\n  overrides: [{match: a, none: 1}]\n",
              "expected true"},
        Fault{"steps:\n- step: quantize\n  format: int8\n  overrides:\n  - {match: a, none: true, "
              "format: int4}\n",
              "stands alone"}));

TEST(NamePattern, MatchesAnywhereInAName) {
  const NamePattern pattern("q_proj$|layers\\.1\\.", "--only");
  EXPECT_TRUE(pattern.matches("model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(pattern.matches("model.layers.1.mlp.up_proj"));
  EXPECT_FALSE(pattern.matches("model.layers.0.mlp.up_proj"));
}

TEST(NamePattern, AnExpressionThatWouldRunForeverIsAnError) {
  const NamePattern pattern("(a+)+$", "--only");
  EXPECT_THROW(pattern.matches(std::string(64, 'a') + "b"), Error);
}

}  // namespace
}  // namespace scant
