#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "models/model.h"
#include "models/testing_checkpoint.h"

namespace scant {
namespace {

using nlohmann::json;

class Families : public testing::TestWithParam<std::string> {};

TEST_P(Families, LogitsAreThoseOfTransformers) {
  const std::string folder = fixture(GetParam());
  const json expected = json::parse(read_file(folder + "/expected.json"));
  const auto model = Model::open(folder);
  const Matrix values = logits_of(*model, expected["ids"].get<std::vector<int32_t>>());
  ASSERT_EQ(values.rows(), static_cast<int64_t>(expected["logits"].size()));
  for (int64_t t = 0; t < values.rows(); ++t) {
    const auto row = expected["logits"][static_cast<size_t>(t)].get<std::vector<double>>();
    ASSERT_EQ(values.cols(), static_cast<int64_t>(row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      ASSERT_NEAR(values(t, static_cast<int64_t>(i)), row[i], 2e-5)
          << "position " << t << ", logit " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Families, testing::ValuesIn(fixture_names()),
                         [](const auto& test) { return test.param; });

TEST(AllFamilies, HaveAFixtureEach) {
  std::vector<std::string> missing = supported_architectures();
  for (const std::string& name : fixture_names()) {
    const auto model = Model::open(fixture(name));
    std::erase(missing, model->facts().architecture);
  }
  EXPECT_TRUE(missing.empty()) << missing.front();
}

}  // namespace
}  // namespace scant
