#include "compress/calibrated_blocks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "compress/refit/block_refit.h"
#include "compress/replaced_weights.h"
#include "core/error.h"
#include "core/file_map.h"
#include "models/tokenizer/tokenizer.h"
#include "ops/gemm.h"

namespace scant {
namespace {

const std::string kAssets = std::string(SCANT_SOURCE_DIR) + "/assets/";

TEST(DrawWindows, TakesWholeWindowsOnceInTheOrderOfTheText) {
  std::vector<int32_t> ids(1037);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  const auto windows = draw_windows(ids, 30, 10, 5, "text");
  ASSERT_EQ(windows.size(), 30u);
  std::set<int32_t> begins;
  for (const auto& window : windows) {
    ASSERT_EQ(window.size(), 10u);
    EXPECT_EQ(window.front() % 10, 0);
    EXPECT_EQ(window.back(), window.front() + 9);
    EXPECT_TRUE(begins.empty() || window.front() > *begins.rbegin());
    begins.insert(window.front());
  }
  EXPECT_EQ(draw_windows(ids, 30, 10, 5, "text"), windows);
  EXPECT_NE(draw_windows(ids, 30, 10, 6, "text"), windows);
  EXPECT_EQ(draw_windows(ids, 200, 10, 5, "text").size(), 103u);
  EXPECT_THROW(draw_windows(ids, 1, 1038, 5, "text"), Error);
}

/// The embedded model on ten windows of 64 tokens.
class BlocksTest : public testing::Test {
 protected:
  BlocksTest() : model_(Model::open(kAssets + "quill-llama-5m")) {
    const auto ids =
        Tokenizer::load(model_->checkpoint())->encode(read_file(kAssets + "text/calibration.txt"));
    calibration_.windows = draw_windows(ids, 10, 64, 0, "calibration.txt");
    folder_ = testing::TempDir() + "blocks_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
  }

  CompressionPlan plan(const char* pattern, const char* format, const StepMethods& methods) const {
    std::optional<SparsityPattern> sparsity;
    std::optional<NumberFormat> weights;
    if (pattern != nullptr) sparsity = SparsityPattern::parse(pattern);
    if (format != nullptr) weights = NumberFormat::parse(format, Role::kWeight);
    Recipe recipe;
    recipe.steps = steps_for(sparsity, weights, Order::kSparsifyFirst, std::nullopt, methods);
    return make_plan(*model_, recipe);
  }

  /// The values of all layers, and how they were made.
  std::vector<Matrix> run(const CompressionPlan& plan, const std::string& store, int threads = 2) {
    ThreadPool pool(threads);
    Context context{pool};
    const ContentStore content(folder_ + "/" + store);
    const LayerStore layers(content, "test");
    compress_blocks(*model_, plan, calibration_, layers, context);
    return values(plan, layers);
  }

  static std::vector<Matrix> values(const CompressionPlan& plan, const LayerStore& layers) {
    std::vector<Matrix> result;
    for (const PlannedLayer& layer : plan.layers) {
      result.push_back(
          std::move(layers.find(layer.info.name, layer.info.outputs, layer.info.inputs)->values));
    }
    return result;
  }

  std::unique_ptr<Model> model_;
  Calibration calibration_;
  std::string folder_;
};

void expect_same(const std::vector<Matrix>& a, const std::vector<Matrix>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(a[i].values(), b[i].values())) << "layer " << i;
  }
}

/// Gram matrices the plain way: one sample after the other.
class PlainGram : public Tap {
 public:
  void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input, int64_t) override {
    for (const LinearLayer& layer : readers) {
      Matrix& gram = by_layer[layer.info.name];
      if (gram.size() == 0) gram = Matrix::zeros(input.cols, input.cols);
      gemm(input, input, gram.view(), {.a = Transpose::kYes, .beta = 1.0f});
    }
  }
  std::map<std::string, Matrix> by_layer;
};

TEST_F(BlocksTest, LayersAreSolvedForTheInputsThatTheyHaveInTheDenseModel) {
  calibration_.from_compressed = false;
  const CompressionPlan plan = this->plan("2:4", "int4:g32", {"sparsegpt", "gptq", ""});
  const std::vector<Matrix> values = run(plan, "a");
  ThreadPool pool(1);
  Context context{pool};
  std::vector<State> states;
  for (const auto& window : calibration_.windows) {
    states.emplace_back();
    states.back().tokens = window;
  }
  PlainGram tap;
  run_stages(*model_, model_->weights(), states, &tap, context);
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const PlannedLayer& layer = plan.layers[i];
    const LinearLayer dense = model_->weights().linear(layer.info);
    const Matrix& weight = std::get<DenseTerm>(dense.terms[0]).weight;
    const InputStatistics inputs(std::move(tap.by_layer.at(layer.info.name)));
    const Statistics statistics{&inputs};
    const CompressedMatrix plain =
        compress_matrix(weight.view(), layer.plan.weights, statistics, context);
    const double error = relative_output_error(weight.view(), values[i].view(), inputs, context);
    // Sums of the Gram matrix in another order: a few codes may fall to the other side.
    EXPECT_NEAR(error, *plain.output_error, 0.01 * *plain.output_error) << layer.info.name;
  }
}

TEST_F(BlocksTest, ResultsDoNotDependOnThreadsOrInterruptions) {
  const CompressionPlan plan = this->plan("50%", nullptr, {"sparsegpt", "", ""});
  const std::vector<Matrix> whole = run(plan, "whole", 1);
  expect_same(run(plan, "threads", 3), whole);
  for (const int64_t stop_after : {1, 9, 20}) {
    ThreadPool pool(2);
    Context context{pool};
    int64_t done = 0;
    context.progress = [&](const Progress& progress) { done = progress.done; };
    context.cancelled = [&] { return done >= stop_after; };
    const std::string store = "stopped" + std::to_string(stop_after);
    const ContentStore content(folder_ + "/" + store);
    EXPECT_THROW(compress_blocks(*model_, plan, calibration_, LayerStore(content, "test"), context),
                 Error);
    expect_same(run(plan, store), whole);
  }
}

TEST_F(BlocksTest, PrunedLayersKeepTheirType) {
  CompressionPlan plan = this->plan("2:4", nullptr, {"sparsegpt", "", ""});
  plan.refit_epochs = 1;
  const std::vector<Matrix> values = run(plan, "a");
  for (const Matrix& layer : values) EXPECT_TRUE(is_exact_in(layer.values(), DType::kBF16));
}

TEST_F(BlocksTest, RefitsDoNotDependOnThreadsOrInterruptions) {
  CompressionPlan plan = this->plan("2:4", "int4:g32", {"wanda", "rtn", ""});
  plan.refit_epochs = 1;
  const std::vector<Matrix> whole = run(plan, "whole", 1);
  expect_same(run(plan, "threads", 3), whole);
  ThreadPool pool(2);
  Context context{pool};
  int64_t done = 0, total = 0;
  context.progress = [&](const Progress& progress) {
    EXPECT_GE(progress.done, done);
    done = progress.done, total = progress.total;
  };
  context.cancelled = [&] { return done > 0 && 2 * done > total; };
  const ContentStore content(folder_ + "/stopped");
  EXPECT_THROW(compress_blocks(*model_, plan, calibration_, LayerStore(content, "test"), context),
               Error);
  expect_same(run(plan, "stopped"), whole);
}

TEST_F(BlocksTest, ARefitLowersTheErrorOfUnseenWindowsAndKeepsMasks) {
  CompressionPlan plan = this->plan("2:4", "int4:g32", {"wanda", "rtn", ""});
  const std::vector<Matrix> before = run(plan, "before");
  plan.refit_epochs = 2;
  const std::vector<Matrix> after = run(plan, "after");
  const ContentStore content(folder_ + "/after");
  const LayerStore layers(content, "test");
  for (const auto& stage : model_->stages()) {
    if (stage->linears().empty()) continue;
    const auto refit = layers.find_refit(stage->name());
    ASSERT_TRUE(refit) << stage->name();
    EXPECT_LT(refit->after, refit->before) << stage->name();
    EXPECT_EQ(refit->vectors.size(), 2u) << "two norms";
    for (const auto& [tensor, values] : refit->vectors) {
      EXPECT_TRUE(is_exact_in(values, DType::kBF16)) << tensor;
      const Matrix dense = model_->weights().parameter(tensor);
      EXPECT_FALSE(std::ranges::equal(values, dense.values())) << tensor;
    }
  }
  // The first block has the same inputs with and without a refit, so its masks are comparable.
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (plan.layers[i].info.block != 0) continue;
    size_t moved = 0;
    for (int64_t k = 0; k < before[i].size(); ++k) {
      if (before[i].data()[k] == 0) continue;  // pruned, or code 0
      moved += before[i].data()[k] != after[i].data()[k];
    }
    EXPECT_GT(moved, 0u);
    const SparsityPattern& pattern = *plan.layers[i].plan.weights.pattern;
    for (int64_t k = 0; k + 4 <= before[i].size(); k += 4) {
      const auto group = std::span(after[i].data() + k, 4);
      ASSERT_GE(std::ranges::count(group, 0.0f), 2) << pattern.spelling();
    }
  }
}

TEST_F(BlocksTest, ARefitThatCannotImproveChangesNothing) {
  const Stage& block = *model_->stages()[1];
  ThreadPool pool(2);
  Context context{pool};
  std::map<std::string, CompressedMatrix> layers;
  CompressionSpec spec;
  spec.pattern = SparsityPattern::parse("2:4");
  for (const LinearInfo& info : block.linears()) {
    const LinearLayer dense = model_->weights().linear(info);
    layers.emplace(info.name, compress_matrix(std::get<DenseTerm>(dense.terms[0]).weight.view(),
                                              spec, Statistics{}, context));
  }
  ReplacedWeights weights(model_->weights(), std::nullopt);
  for (const auto& [name, layer] : layers) {
    weights.replace(name, Matrix::copy_of(layer.values.view()));
  }
  // The compressed block's own outputs as targets: it is perfect already.
  constexpr int64_t kWindows = 4, kTokens = 16;
  HiddenStates inputs(kWindows, {}), targets(kWindows, {});
  Matrix x(kWindows * kTokens, model_->facts().hidden);
  for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = std::sin(static_cast<float>(i));
  const auto perfect = block.differentiable(weights);
  const ConstMatrixView y = perfect->forward(x.view(), kTokens, context);
  for (int64_t i = 0; i < kWindows; ++i) {
    inputs.put(i, Matrix::copy_of(x.view().rows_from(i * kTokens, kTokens)));
    targets.put(i, Matrix::copy_of(y.rows_from(i * kTokens, kTokens)));
  }
  const RefitResult result = refit_block({.stage = block,
                                          .model = *model_,
                                          .inputs = inputs,
                                          .targets = targets,
                                          .windows = kWindows,
                                          .epochs = 3},
                                         layers, context);
  EXPECT_FALSE(result.improved());
  for (const auto& [name, layer] : layers) {
    const LinearLayer kept = weights.linear(
        *std::ranges::find(block.linears(), name, [](const auto& info) { return info.name; }));
    EXPECT_TRUE(std::ranges::equal(std::get<DenseTerm>(kept.terms[0]).weight.values(),
                                   layer.values.values()))
        << name;
  }
  for (const auto& [tensor, values] : result.vectors) {
    EXPECT_TRUE(std::ranges::equal(model_->weights().parameter(tensor).values(), values)) << tensor;
  }
}

TEST_F(BlocksTest, ABlockSeesTheCompressedOrTheDenseBlocksBeforeIt) {
  const CompressionPlan plan = this->plan(nullptr, "int3", {"", "gptq", ""});
  const std::vector<Matrix> compressed = run(plan, "compressed");
  calibration_.from_compressed = false;
  const std::vector<Matrix> dense = run(plan, "dense");
  size_t different = 0;
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const bool same = std::ranges::equal(compressed[i].values(), dense[i].values());
    if (plan.layers[i].info.block == 0) {
      EXPECT_TRUE(same) << "nothing stands before block 0";
    }
    different += !same;
  }
  EXPECT_GT(different, plan.layers.size() / 2);
}

TEST_F(BlocksTest, StatesInAFileGiveTheSameBits) {
  const CompressionPlan plan = this->plan("2:4", "int3", {"sparsegpt", "gptaq", ""});
  const std::vector<Matrix> memory = run(plan, "memory");
  calibration_.states.offload = folder_ + "/out";
  expect_same(run(plan, "file"), memory);
}

TEST_F(BlocksTest, StatesInBf16ChangeFewDecisions) {
  const CompressionPlan plan = this->plan("2:4", nullptr, {"wanda", "", ""});
  const std::vector<Matrix> wide = run(plan, "wide");
  calibration_.states.dtype = DType::kBF16;
  const std::vector<Matrix> narrow = run(plan, "narrow");
  calibration_.states.offload = folder_ + "/out";
  expect_same(run(plan, "narrow file"), narrow);
  int64_t changed = 0, all = 0;
  for (size_t i = 0; i < wide.size(); ++i) {
    for (int64_t k = 0; k < wide[i].size(); ++k) {
      changed += wide[i].data()[k] != narrow[i].data()[k];
    }
    all += wide[i].size();
  }
  EXPECT_GT(changed, 0) << "the states were not narrowed";
  EXPECT_LT(changed, all / 100);
}

TEST_F(BlocksTest, ADamagedFileOfAFinishedLayerCountsAsAbsent) {
  const CompressionPlan plan = this->plan(nullptr, "int3", {"", "gptq", ""});
  const std::vector<Matrix> whole = run(plan, "a");
  for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/a")) {
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) - 1);
  }
  expect_same(run(plan, "a"), whole);
}

}  // namespace
}  // namespace scant
