#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "compress/calibrated_blocks.h"
#include "compress/replaced_weights.h"
#include "core/file_map.h"
#include "evaluate/perplexity.h"
#include "methods/support_table.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {
namespace {

const std::string kAssets = std::string(SCANT_SOURCE_DIR) + "/assets/";

/// The cells of docs/guide/support.md, pattern x format, each with one of its methods and orders in
/// turn: every cell once, and every method many times with always other cells. (Each method with
/// each cell runs on a small matrix in methods/support_table_test.cc.)
std::vector<CompressionSpec> one_of_each_cell() {
  std::map<std::pair<std::string, std::string>, std::vector<CompressionSpec>> cells;
  for (const CompressionSpec& spec : support_specs()) {
    if (refusal(spec)) continue;
    cells[{spec.pattern ? spec.pattern->spelling() : "",
           spec.format ? spec.format->spelling() : ""}]
        .push_back(spec);
  }
  std::vector<CompressionSpec> chosen;
  std::map<size_t, size_t> turns;  // cells with a pattern or a format alone have fewer methods
  for (const auto& [names, specs] : cells) {
    chosen.push_back(specs[turns[specs.size()]++ % specs.size()]);
  }
  return chosen;
}

std::string described(const CompressionSpec& spec) {
  return (spec.pattern ? spec.pattern->spelling() : "dense") + " + " +
         (spec.format ? spec.format->spelling() : "as it is") + ", " + method_names(spec);
}

/// A mask of what is not zero.
Mask nonzero_of(const Matrix& values) {
  Mask mask = Mask::all(values.rows(), values.cols());
  for (int64_t i = 0; i < values.size(); ++i) {
    mask.keep[static_cast<size_t>(i)] = values.data()[i] != 0.0f;
  }
  return mask;
}

StoredSize size_of(const PlannedLayer& layer, const Model& model) {
  const CompressionSpec& spec = layer.plan.weights;
  const int64_t rows = layer.info.outputs, cols = layer.info.inputs;
  return compressed_size(rows, cols, spec,
                         plain_format_of(model.checkpoint().require(layer.info.tensor)),
                         spec.pattern ? spec.pattern->most_kept(rows, cols) : rows * cols);
}

/// Whether what was packed gives back the simulated values bit for bit.
bool is_packed_exactly(const CompressedLayer& layer) {
  Matrix values(layer.values.rows(), layer.values.cols());
  layer.packed->unpack_rows(0, values.view());
  return std::memcmp(values.data(), layer.values.data(), values.values().size_bytes()) == 0;
}

TEST(SupportOnTheModel, EveryCellGoesThroughTheBlocksOfTheEmbeddedModel) {
  const auto model = Model::open(kAssets + "quill-llama-5m");
  const std::vector<int32_t> ids =
      Tokenizer::load(model->checkpoint())->encode(read_file(kAssets + "text/calibration.txt"));
  Calibration calibration;
  calibration.windows = draw_windows(ids, 8, 48, 0, "calibration.txt");
  const TextWindows text(std::vector<int32_t>(ids.begin(), ids.begin() + 128), {.window = 64},
                         "calibration.txt");
  ThreadPool pool(2);
  Context context{pool};
  Recipe recipe;
  recipe.steps =
      steps_for(SparsityPattern::parse("2:4"), std::nullopt, Order::kSparsifyFirst, std::nullopt);
  recipe.skip.emplace_back("layers\\.[1-5]\\.mlp\\.down_proj", "test");  // the slowest ones
  const CompressionPlan plan = make_plan(*model, recipe);
  const std::string folder = testing::TempDir() + "support_on_model";
  std::filesystem::remove_all(folder);

  const std::vector<CompressionSpec> specs = one_of_each_cell();
  EXPECT_GT(specs.size(), 500u);
  std::set<std::string> methods;
  for (size_t begin = 0; begin < specs.size(); begin += plan.layers.size()) {
    CompressionPlan mixed = plan;  // every layer another cell
    for (size_t i = 0; i < mixed.layers.size(); ++i) {
      PlannedLayer& layer = mixed.layers[i];
      layer.plan.weights = specs[(begin + i) % specs.size()];
      layer.size = size_of(layer, *model);
      methods.insert(method_names(layer.plan.weights));
    }
    const ContentStore content(folder);
    const LayerStore store(content, std::to_string(begin), true);
    compress_blocks(*model, mixed, calibration, store, context);
    ReplacedWeights weights(model->weights(), std::nullopt);
    for (const PlannedLayer& layer : mixed.layers) {
      const CompressionSpec& spec = layer.plan.weights;
      SCOPED_TRACE(layer.info.name + ": " + described(spec));
      auto result = store.find(layer.info.name, layer.info.outputs, layer.info.inputs);
      ASSERT_TRUE(result);
      ASSERT_TRUE(
          std::ranges::all_of(result->values.values(), [](float v) { return std::isfinite(v); }));
      if (spec.pattern) {
        EXPECT_TRUE(spec.pattern->allows(nonzero_of(result->values)));
        EXPECT_LE(result->kept, spec.pattern->most_kept(layer.info.outputs, layer.info.inputs));
      }
      ASSERT_TRUE(result->packed);
      EXPECT_EQ(result->packed->bytes(), layer.size.total());
      EXPECT_TRUE(is_packed_exactly(*result));
      weights.replace(layer.info.name, std::move(result->values));
    }
    const Evaluation evaluation =
        evaluate(Subject(*model, weights), nullptr, text, EvaluateOptions{}, context);
    EXPECT_TRUE(std::isfinite(evaluation.perplexity)) << "layers from cell " << begin;
    std::filesystem::remove_all(folder);
  }
  std::set<std::string> all;
  for (const CompressionSpec& spec : support_specs()) all.insert(method_names(spec));
  EXPECT_EQ(methods, all) << "every method took part";
}

}  // namespace
}  // namespace scant
