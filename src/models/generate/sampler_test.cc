#include "models/generate/sampler.h"

#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int32_t> tokens_of(const std::vector<TokenProbability>& candidates) {
  std::vector<int32_t> tokens;
  for (const TokenProbability& c : candidates) tokens.push_back(c.token);
  return tokens;
}

/// Logits of these probabilities.
std::vector<float> logits_for(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Sampler, LeavesTheProbabilitiesThatTransformersLeaves) {
  const json cases = json::parse(read_file(SCANT_SOURCE_DIR "/tests/goldens/sampler/sampler.json"));
  ASSERT_GE(cases.size(), 26u);
  for (const json& c : cases) {
    const json& o = c["options"];
    SamplerOptions options;
    options.temperature = o.value("temperature", 1.0f);
    options.top_k = o.value("top_k", int64_t{0});
    options.top_p = o.value("top_p", 1.0f);
    options.min_p = o.value("min_p", 0.0f);
    options.repetition_penalty = o.value("repetition_penalty", 1.0f);
    Sampler sampler(options);
    sampler.accept(c["tokens"].get<std::vector<int32_t>>());
    auto logits = c["logits"].get<std::vector<float>>();
    std::vector<double> got(logits.size(), 0.0);
    for (const TokenProbability& t : sampler.distribution(logits)) {
      got[static_cast<size_t>(t.token)] = static_cast<double>(t.probability);
    }
    const auto expected = c["probabilities"].get<std::vector<double>>();
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i] == 0, expected[i] < 5e-9) << o << ", token " << i;
      ASSERT_NEAR(got[i], expected[i], 2e-6) << o << ", token " << i;
    }
  }
}

TEST(Sampler, GreedyTakesTheFirstOfTheLargestAfterThePenalty) {
  Sampler plain(SamplerOptions{});
  std::vector<float> logits = {1, 4, 3, 4};
  EXPECT_EQ(plain.choose(logits), 1);
  SamplerOptions options;
  options.repetition_penalty = 2;
  Sampler penalized(options);
  penalized.accept(std::vector<int32_t>{1, 3, 3});
  logits = {1, 4, 3, 4};
  EXPECT_EQ(penalized.choose(logits), 2);
  EXPECT_THAT(logits, ElementsAre(1, 2, 3, 2));  // once, however often the token came
}

TEST(Sampler, ThePenaltyMovesNegativeLogitsDown) {
  SamplerOptions options;
  options.repetition_penalty = 2;
  Sampler sampler(options);
  sampler.accept(std::vector<int32_t>{0});
  std::vector<float> logits = {-1, -3};
  EXPECT_EQ(sampler.choose(logits), 0);
  EXPECT_THAT(logits, ElementsAre(-2, -3));
}

TEST(Sampler, TopPKeepsTheFewestTokensThatReachIt) {
  SamplerOptions options;
  options.temperature = 1;
  const auto kept = [&](float top_p, std::vector<double> probabilities) {
    options.top_p = top_p;
    std::vector<float> logits = logits_for(probabilities);
    return tokens_of(Sampler(options).distribution(logits));
  };
  const std::vector<double> p = {0.1, 0.5, 0.25, 0.1, 0.05};
  EXPECT_THAT(kept(0.45f, p), ElementsAre(1));
  EXPECT_THAT(kept(0.6f, p), ElementsAre(1, 2));
  EXPECT_THAT(kept(0.99f, p), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(kept(1e-6f, p), ElementsAre(1));
}

TEST(Sampler, MinPIsRelativeToTheLikeliest) {
  SamplerOptions options;
  options.temperature = 1;
  options.min_p = 0.3f;
  std::vector<float> logits = logits_for({0.5, 0.2, 0.14, 0.16});
  EXPECT_THAT(tokens_of(Sampler(options).distribution(logits)), ElementsAre(0, 1, 3));
}

TEST(Sampler, DrawsAreAFunctionOfTheSeedAndHaveTheRightFrequencies) {
  SamplerOptions options;
  options.temperature = 1;
  options.seed = 11;
  const std::vector<double> p = {0.15, 0.6, 0.25};
  const auto draw = [&](uint64_t seed, int count) {
    options.seed = seed;
    Sampler sampler(options);
    std::vector<int32_t> drawn;
    for (int i = 0; i < count; ++i) {
      std::vector<float> logits = logits_for(p);
      drawn.push_back(sampler.choose(logits));
    }
    return drawn;
  };
  const std::vector<int32_t> drawn = draw(11, 20000);
  EXPECT_EQ(drawn, draw(11, 20000));
  EXPECT_NE(draw(11, 100), draw(12, 100));
  for (size_t token = 0; token < p.size(); ++token) {
    const auto count = std::count(drawn.begin(), drawn.end(), static_cast<int32_t>(token));
    EXPECT_NEAR(static_cast<double>(count) / 20000, p[token], 0.012);  // 3.5 standard deviations
  }
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  const auto refusal = [](void (*change)(SamplerOptions&)) -> std::string {
    SamplerOptions options;
    change(options);
    try {
      Sampler sampler(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal([](SamplerOptions& o) { o.temperature = -1; }), HasSubstr("--temperature"));
  EXPECT_THAT(refusal([](SamplerOptions& o) { o.temperature = NAN; }), HasSubstr("--temperature"));
  EXPECT_THAT(refusal([](SamplerOptions& o) { o.top_k = -1; }), HasSubstr("--top-k"));
  EXPECT_THAT(refusal([](SamplerOptions& o) { o.top_p = 0; }), HasSubstr("--top-p"));
  EXPECT_THAT(refusal([](SamplerOptions& o) { o.top_p = 1.5f; }), HasSubstr("--top-p"));
  EXPECT_THAT(refusal([](SamplerOptions& o) { o.min_p = 2; }), HasSubstr("--min-p"));
  EXPECT_THAT(refusal([](SamplerOptions& o) { o.repetition_penalty = 0; }),
              HasSubstr("--repetition-penalty"));
}

}  // namespace
}  // namespace scant
