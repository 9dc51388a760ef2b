#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "kernels/softmax/softmax.h"
#include "models/generate/resident_model.h"
#include "models/model.h"

namespace scant {
namespace {

using nlohmann::json;

std::string shared(const std::string& path) { return SCANT_SOURCE_DIR "/../shared/" + path; }

int32_t most_likely(std::span<const float> row) {
  OnlineArgmax top;
  top.add(row, 0);
  return static_cast<int32_t>(top.index);
}

class Goldens : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string golden = shared(fmt::format("goldens/{}.json", GetParam()));
    const std::string folder = shared(fmt::format("models/{}", GetParam()));
    if (!std::filesystem::exists(golden) || !std::filesystem::exists(folder)) {
      GTEST_SKIP() << golden << " is not there";
    }
    golden_ = json::parse(read_file(golden));
    model_ = Model::open(folder);
  }

  json golden_;
  std::unique_ptr<Model> model_;
  ThreadPool threads_{2};
  Context context_{.threads = threads_};
};

TEST_P(Goldens, LogLikelihoodsAndLastLogitsAreThoseOfTransformers) {
  const json& input = golden_["input_256"];
  const auto ids = input["ids"].get<std::vector<int32_t>>();
  const auto expected = input["nll"].get<std::vector<double>>();
  std::vector<State> batch(1);
  batch[0].tokens = ids;
  run_stages(*model_, model_->weights(), batch, nullptr, context_);
  const Matrix values = logits(*model_, batch[0], context_);
  ASSERT_EQ(values.rows(), 256);
  for (int64_t t = 0; t < 255; ++t) {
    OnlineLogSumExp total;
    total.add(values.row_span(t));
    const double nll =
        total.value() - static_cast<double>(values(t, ids[static_cast<size_t>(t + 1)]));
    ASSERT_NEAR(nll, expected[static_cast<size_t>(t)], 1e-4) << "position " << t;
  }
  const auto last = input["last_logits_first_64"].get<std::vector<double>>();
  for (size_t i = 0; i < last.size(); ++i) {
    ASSERT_NEAR(values(255, static_cast<int64_t>(i)), last[i], 1e-4) << "logit " << i;
  }
  EXPECT_EQ(most_likely(values.row_span(255)), input["last_argmax"].get<int32_t>());
  OnlineLogSumExp total;
  total.add(values.row_span(255));
  EXPECT_NEAR(total.value(), input["last_logsumexp"].get<double>(), 1e-4);
}

TEST_P(Goldens, GreedyContinuationIsThatOfTransformers) {
  const auto prompt = golden_["greedy"]["prompt"].get<std::vector<int32_t>>();
  const auto expected = golden_["greedy"]["continuation"].get<std::vector<int32_t>>();
  const ResidentModel resident(*model_, model_->weights(), context_);
  KvCache cache(KvType::kF32, 512);
  std::vector<int32_t> made = {most_likely(resident.next_logits(prompt, cache, context_))};
  while (made.size() < expected.size()) {
    const int32_t last = made.back();
    made.push_back(most_likely(resident.next_logits(std::span(&last, 1), cache, context_)));
  }
  EXPECT_EQ(made, expected);
}

INSTANTIATE_TEST_SUITE_P(Models, Goldens,
                         testing::Values("quill-llama-5m", "quill-llama-32m", "quill-opt-30m"));

}  // namespace
}  // namespace scant
