#include "compress/interplay/sensitivity.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compress/interplay/cell_grid.h"
#include "compress/interplay/study_runner.h"
#include "compress/replaced_weights.h"
#include "core/error.h"
#include "evaluate/score_collector.h"

namespace scant {
namespace {

using States = std::vector<State>;

States copy_of(const States& states) {
  States copy;
  for (const State& state : states) {
    copy.push_back({state.tokens, state.first_position, Matrix::copy_of(state.hidden.view())});
  }
  return copy;
}

class LayerRanking {
 public:
  LayerRanking(const Model& model, const TextWindows& text, int64_t windows, const CellSpec& cell,
               const StudyStore& store, uint64_t seed, Context& context)
      : model_(model),
        cell_(cell),
        store_(store),
        recipe_(recipe_of(cell, seed)),
        context_(context),
        windows_(std::min(windows, text.size())) {
    if (cell.activations) activation_ = activation_format(*cell.format);
    for (int64_t i = 0; i < windows_; ++i) {
      Sample sample = text.sample(i);
      first_scored_.push_back(sample.first_scored);
      dense_.push_back(std::move(sample.state));
      compressed_.push_back(text.sample(i).state);
    }
  }

  Sensitivity run(const std::function<void(double)>& advance) {
    Sensitivity result;
    result.cell = cell_;
    if (!all_known(result)) {
      double total = 0;
      for (size_t s = 0; s < model_.stages().size(); ++s) total += work_of(s);
      double done = 0;
      for (size_t s = 0; s < model_.stages().size(); ++s) {
        if (!model_.stages()[s]->linears().empty()) rank_stage(s);
        advance_prefixes(s);
        done += work_of(s);
        advance(done / total);
      }
      std::vector<Metric> ends = scores({&dense_, &compressed_});
      put("dense", ends[0]);
      put("full", ends[1]);
      if (!all_known(result))
        throw Error("--sensitivity", "a finished layer cannot be read back from the store");
    }
    return result;
  }

 private:
  std::string variant(const std::string& kind, const std::string& layer = "") const {
    return fmt::format("{} windows={} {}", kind, windows_, layer);
  }
  void put(const std::string& kind, const Metric& metric, const std::string& layer = "") {
    store_.put_metric(cell_, variant(kind, layer), metric);
  }
  std::optional<Metric> find(const std::string& kind, const std::string& layer = "") const {
    return store_.find_metric(cell_, variant(kind, layer));
  }
  bool all_known(Sensitivity& result) const {
    const auto dense = find("dense");
    const auto full = find("full");
    if (!dense || !full) return false;
    result.dense = *dense;
    result.full = *full;
    result.layers.clear();
    int64_t number = 0;
    for (const LinearInfo& info : model_.linears()) {
      const auto alone = find("alone", info.name);
      const auto exempt = find("exempt", info.name);
      if (!alone || !exempt) return false;
      result.layers.push_back({number++, *alone, *exempt});
    }
    return true;
  }

  double work_of(size_t stage) const {
    const auto layers = static_cast<double>(model_.stages()[stage]->linears().size());
    return layers * static_cast<double>(model_.stages().size() - stage + 2) + 1;
  }

  /// Weights of a stage with the chosen layers compressed.
  ReplacedWeights weights_of(size_t stage, const std::function<bool(size_t)>& chosen) {
    if (compressed_stage_ != stage) compress(stage);
    ReplacedWeights weights(model_.weights(), activation_);
    const auto& linears = model_.stages()[stage]->linears();
    for (size_t i = 0; i < linears.size(); ++i) {
      if (chosen(i)) weights.replace(linears[i].name, Matrix::copy_of(values_[i].view()));
    }
    return weights;
  }

  void compress(size_t stage) {
    const auto& linears = model_.stages()[stage]->linears();
    values_.clear();
    values_.resize(linears.size());
    context_.threads.parallel_for(static_cast<int64_t>(linears.size()), [&](int64_t i) {
      const LinearInfo& info = linears[static_cast<size_t>(i)];
      const LayerPlan plan = plan_layer(recipe_, info.name);
      const Matrix weight = dense_weight(model_.weights().linear(info));
      values_[static_cast<size_t>(i)] =
          compress_matrix(weight.view(), plan.weights, Statistics{}, context_).values;
    });
    compressed_stage_ = stage;
  }

  void run_stage(size_t stage, const WeightSource& weights, States& states) {
    run_stage_range(model_, weights, stage, stage + 1, states, context_);
  }

  void rank_stage(size_t stage) {
    const auto& linears = model_.stages()[stage]->linears();
    std::vector<States> alone;
    std::vector<States> exempt;
    const bool known = std::ranges::all_of(linears, [&](const LinearInfo& info) {
      return find("alone", info.name) && find("exempt", info.name);
    });
    if (known) return;
    for (size_t l = 0; l < linears.size(); ++l) {
      run_stage(stage, weights_of(stage, [&](size_t i) { return i == l; }),
                alone.emplace_back(copy_of(dense_)));
      run_stage(stage, weights_of(stage, [&](size_t i) { return i != l; }),
                exempt.emplace_back(copy_of(compressed_)));
    }
    for (size_t later = stage + 1; later < model_.stages().size(); ++later) {
      const ReplacedWeights weights = weights_of(later, [](size_t) { return true; });
      for (States& states : alone) run_stage(later, model_.weights(), states);
      for (States& states : exempt) run_stage(later, weights, states);
    }
    std::vector<const States*> finished;
    finished.reserve(2 * linears.size());
    for (const States& states : alone) finished.push_back(&states);
    for (const States& states : exempt) finished.push_back(&states);
    const std::vector<Metric> metrics = scores(finished);
    for (size_t l = 0; l < linears.size(); ++l) {
      put("alone", metrics[l], linears[l].name);
      put("exempt", metrics[linears.size() + l], linears[l].name);
    }
  }

  void advance_prefixes(size_t stage) {
    run_stage(stage, model_.weights(), dense_);
    run_stage(stage, weights_of(stage, [](size_t) { return true; }), compressed_);
  }

  std::vector<Metric> scores(const std::vector<const States*>& sets) {
    const Subject subject(model_);
    std::vector<FinishedStates> finished;
    finished.reserve(sets.size());
    for (const States* states : sets) finished.push_back({&subject, *states});
    std::vector<Metric> metrics;
    for (const auto& of_set : score_heads(finished, nullptr, first_scored_, context_)) {
      ScoreCollector collector;
      for (const HeadScores& sample : of_set) collector.add(sample);
      metrics.push_back(collector.finish().nll);
    }
    return metrics;
  }

  const Model& model_;
  const CellSpec& cell_;
  const StudyStore& store_;
  Recipe recipe_;
  Context& context_;
  int64_t windows_;
  std::optional<NumberFormat> activation_;
  std::vector<int64_t> first_scored_;
  States dense_, compressed_;  ///< after the stages before the one that is ranked
  size_t compressed_stage_ = SIZE_MAX;
  std::vector<Matrix> values_;  ///< of compressed_stage_
};

}  // namespace

Sensitivity rank_layers(const Model& model, const TextWindows& text, int64_t windows,
                        const CellSpec& cell, const StudyStore& store,
                        const std::function<void(double)>& advance, uint64_t seed,
                        Context& context) {
  return LayerRanking(model, text, windows, cell, store, seed, context).run(advance);
}

}  // namespace scant
