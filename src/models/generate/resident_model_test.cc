#include "models/generate/resident_model.h"

#include <gmock/gmock.h>

#include <cmath>

#include "models/testing_checkpoint.h"

namespace scant {
namespace {

using testing::HasSubstr;

/// 19 tokens, of which the windows of the fixtures see only some.
std::vector<int32_t> ids_for(const Model& model) {
  std::vector<int32_t> ids = {5, 17, 3, 60, 42, 8, 8, 21, 33, 9, 1, 66, 30, 12, 2, 44, 44, 7, 50};
  EXPECT_GE(model.facts().positions, 19);
  return ids;
}

struct Loaded {
  std::unique_ptr<Model> model;
  ThreadPool threads;
  Context context{.threads = threads};
  ResidentModel resident;

  explicit Loaded(std::unique_ptr<Model> m, int count = 2)
      : model(std::move(m)), threads(count), resident(*model, model->weights(), context) {}
};

/// Logits of all tokens: `first` at once, then `step` at a time.
Matrix in_steps(Loaded& loaded, const std::vector<int32_t>& ids, KvType type, size_t first,
                size_t step) {
  KvCache cache(type, static_cast<int64_t>(ids.size()));
  Matrix result(static_cast<int64_t>(ids.size()), loaded.resident.vocabulary());
  for (size_t done = 0; done < ids.size();) {
    const size_t count = std::min(done == 0 ? first : step, ids.size() - done);
    const Matrix some =
        loaded.resident.all_logits(std::span(ids).subspan(done, count), cache, loaded.context);
    std::copy_n(some.data(), some.size(), result.row(static_cast<int64_t>(done)));
    done += count;
    EXPECT_EQ(cache.positions(), static_cast<int64_t>(done));
  }
  return result;
}

double largest_difference(const Matrix& a, const Matrix& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double{a.data()[i]} - b.data()[i]));
  }
  return largest;
}

class EveryModel : public testing::TestWithParam<std::string> {};

TEST_P(EveryModel, PrefillAndStepsGiveTheLogitsOfAWholePass) {
  Loaded loaded(Model::open(fixture(GetParam())));
  const std::vector<int32_t> ids = ids_for(*loaded.model);
  const Matrix whole = logits_of(*loaded.model, ids);
  EXPECT_LT(largest_difference(in_steps(loaded, ids, KvType::kF32, ids.size(), 1), whole), 2e-5);
  for (const size_t first : {1, 2, 11}) {
    for (const size_t step : {1, 3}) {
      EXPECT_LT(largest_difference(in_steps(loaded, ids, KvType::kF32, first, step), whole), 2e-5)
          << first << " + " << step;
    }
  }
}

double relative_error(const Matrix& a, const Matrix& b) {
  double error = 0;
  double total = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    error += std::pow(double{a.data()[i]} - b.data()[i], 2);
    total += std::pow(double{b.data()[i]}, 2);
  }
  return std::sqrt(error / total);
}

// bf16 keeps 8 bits of a value, int8 7 bits below a head's largest.
TEST_P(EveryModel, SmallerCachesAreClose) {
  Loaded loaded(Model::open(fixture(GetParam())));
  const std::vector<int32_t> ids = ids_for(*loaded.model);
  const Matrix whole = logits_of(*loaded.model, ids);
  const double bf16 = relative_error(in_steps(loaded, ids, KvType::kBf16, 3, 1), whole);
  const double int8 = relative_error(in_steps(loaded, ids, KvType::kInt8, 3, 1), whole);
  EXPECT_LT(bf16, 0.01);
  EXPECT_LT(int8, 0.02);
  EXPECT_GT(bf16, 1e-6);
  EXPECT_GT(int8, 1e-6);
}

TEST_P(EveryModel, ResultsDoNotDependOnTheNumberOfThreads) {
  Loaded one(Model::open(fixture(GetParam())), 1);
  Loaded three(Model::open(fixture(GetParam())), 3);
  const std::vector<int32_t> ids = ids_for(*one.model);
  EXPECT_EQ(largest_difference(in_steps(one, ids, KvType::kF32, 17, 1),
                               in_steps(three, ids, KvType::kF32, 17, 1)),
            0);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, EveryModel, testing::ValuesIn(fixture_names()),
                         [](const auto& param) { return param.param; });

TEST(ResidentModel, NextLogitsAreThoseOfTheLastToken) {
  Loaded loaded(Model::open(fixture("llama")));
  const std::vector<int32_t> ids = ids_for(*loaded.model);
  KvCache a(KvType::kF32, 64);
  KvCache b(KvType::kF32, 64);
  const Matrix all = loaded.resident.all_logits(ids, a, loaded.context);
  const std::vector<float> last = loaded.resident.next_logits(ids, b, loaded.context);
  ASSERT_EQ(static_cast<int64_t>(last.size()), all.cols());
  for (size_t i = 0; i < last.size(); ++i) {
    EXPECT_NEAR(last[i], all(all.rows() - 1, static_cast<int64_t>(i)), 1e-5);
  }
}

TEST(ResidentModel, TextsLongerThanAPieceAndAPageGiveTheSame) {
  const auto checkpoint = std::make_shared<MemoryCheckpoint>(fixture("mistral"));
  checkpoint->edit_config()["max_position_embeddings"] = 2048;
  Loaded loaded(Model::from_checkpoint(checkpoint));
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 600; ++i) ids.push_back(i * i % 67);
  const Matrix whole = logits_of(*loaded.model, ids);
  const auto size = static_cast<size_t>(ResidentModel::kPiece);
  ASSERT_GT(ids.size(), size);
  EXPECT_LT(largest_difference(in_steps(loaded, ids, KvType::kF32, ids.size(), 1), whole), 2e-5);
  EXPECT_LT(largest_difference(in_steps(loaded, ids, KvType::kF32, 590, 1), whole), 2e-5);
}

TEST(ResidentModel, RefusesWhatDoesNotFit) {
  Loaded loaded(Model::open(fixture("llama")));
  KvCache cache(KvType::kF32, 3);
  const auto run = [&](const std::vector<int32_t>& ids) {
    return message_of([&] { loaded.resident.next_logits(ids, cache, loaded.context); });
  };
  EXPECT_THAT(run({1, 2, 3, 4}), HasSubstr("4 positions do not fit the context of 3"));
  EXPECT_THAT(run({}), HasSubstr("at least one"));
  EXPECT_THAT(run({67}), HasSubstr("id 67 is not in the model's vocabulary"));
  loaded.context.cancelled = [] { return true; };
  EXPECT_THAT(run({1}), HasSubstr("stopped"));
}

TEST(KvCache, GrowsByPagesAndSaysItsSize) {
  KvCache cache(KvType::kInt8, 1000);
  EXPECT_EQ(cache.bytes(), 0);
  EXPECT_EQ(cache.positions(), 0);
  KvLayer& layer = cache.layer(0, 2, 16);
  const Matrix rows = Matrix::zeros(kKvPage + 1, 32);
  layer.append(rows.view().rows_from(0, 1), rows.view().rows_from(0, 1));
  EXPECT_EQ(cache.bytes(), 2 * 2 * kKvPage * (16 + 4));
  layer.append(rows.view().rows_from(0, kKvPage), rows.view().rows_from(0, kKvPage));
  EXPECT_EQ(cache.bytes(), 2 * 2 * 2 * kKvPage * (16 + 4));
  EXPECT_EQ(cache.positions(), kKvPage + 1);
}

}  // namespace
}  // namespace scant
