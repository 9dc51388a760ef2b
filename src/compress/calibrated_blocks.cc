#include "compress/calibrated_blocks.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "compress/gram_tap.h"
#include "compress/replaced_weights.h"
#include "core/error.h"
#include "core/stopwatch.h"

namespace scant {
namespace {

// Samples whose inputs are held at once: fixed, because it decides the order of the sums.
constexpr int64_t kBatch = 8;

class BlockWalk {
 public:
  BlockWalk(const Model& model, const CompressionPlan& plan, const Calibration& calibration,
            const LayerStore& store, Context& context)
      : model_(model), calibration_(calibration), store_(store), context_(context) {
    for (const PlannedLayer& layer : plan.layers) {
      if (layer.plan.changes_weights() && layer.info.block >= 0) {
        planned_.emplace(layer.info.name, &layer);
      }
    }
    left_ = static_cast<int64_t>(planned_.size());
    for (const auto& window : calibration.windows) {
      State state;
      state.tokens = window;
      states_.push_back(std::move(state));
    }
  }

  CalibrationTimes run() {
    for (const auto& stage : model_.stages()) {
      if (left_ == 0) break;
      run_stage(*stage);
    }
    return times_;
  }

 private:
  void run_stage(const Stage& stage) {
    std::vector<const PlannedLayer*> layers;
    for (const LinearInfo& info : stage.linears()) {
      const auto found = planned_.find(info.name);
      if (found != planned_.end()) layers.push_back(found->second);
    }
    const auto dense = stage.load(model_.weights());
    if (layers.empty()) {
      advance(*dense);
      return;
    }
    ReplacedWeights weights(model_.weights(), std::nullopt);
    if (!take_finished(layers, weights)) {
      const auto statistics = measure(*dense);
      for (const PlannedLayer* layer : layers) {
        weights.replace(layer->info.name, compress(*layer, *statistics.at(layer->info.name)));
        --left_;
        report();
      }
    }
    if (left_ == 0) return;
    advance(calibration_.from_compressed ? *stage.load(weights) : *dense);
  }

  /// True if every layer was finished by an earlier run.
  bool take_finished(const std::vector<const PlannedLayer*>& layers, ReplacedWeights& weights) {
    std::vector<Matrix> values;
    for (const PlannedLayer* layer : layers) {
      auto finished = store_.find(layer->info.name, layer->info.outputs, layer->info.inputs);
      if (!finished) return false;
      values.push_back(std::move(finished->values));
    }
    for (size_t i = 0; i < layers.size(); ++i) {
      weights.replace(layers[i]->info.name, std::move(values[i]));
    }
    left_ -= static_cast<int64_t>(layers.size());
    report();
    return true;
  }

  void advance(const LoadedStage& stage) {
    const Stopwatch watch;
    for_samples(0, static_cast<int64_t>(states_.size()), [&](int64_t i) {
      stage.run(states_[static_cast<size_t>(i)], i, nullptr);
    });
    times_.forward += watch.seconds();
  }

  template <typename Run>
  void for_samples(int64_t begin, int64_t end, const Run& run) {
    context_.threads.parallel_for(end - begin, [&](int64_t i) {
      if (context_.cancelled()) throw Error("", "stopped");
      run(begin + i);
    });
  }

  std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>> measure(
      const LoadedStage& stage) {
    GramTap tap(kBatch);
    const auto samples = static_cast<int64_t>(states_.size());
    for (int64_t begin = 0; begin < samples; begin += kBatch) {
      const Stopwatch forward;
      for_samples(begin, std::min(samples, begin + kBatch), [&](int64_t i) {
        const State& state = states_[static_cast<size_t>(i)];
        State copy{state.tokens, state.first_position, Matrix::copy_of(state.hidden.view())};
        stage.run(copy, i - begin, &tap);
      });
      times_.forward += forward.seconds();
      const Stopwatch gram;
      tap.end_batch(context_);
      times_.gram += gram.seconds();
    }
    return tap.finish();
  }

  Matrix compress(const PlannedLayer& layer, const InputStatistics& inputs) {
    if (context_.cancelled()) throw Error("", "stopped");
    for (const float norm : inputs.squared_norms()) {
      if (!std::isfinite(norm)) {
        throw Error(model_.checkpoint().path() + ": layer " + layer.info.name,
                    "its inputs on the calibration text are not finite");
      }
    }
    const Stopwatch watch;
    const LinearLayer dense = model_.weights().linear(layer.info);
    const Matrix& weight = std::get<DenseTerm>(dense.terms.front()).weight;
    CompressedLayer result;
    try {
      result = CompressedLayer::from(
          compress_matrix(weight.view(), layer.plan.weights, Statistics{&inputs}, context_));
    } catch (const Error& error) {
      throw Error(model_.checkpoint().path() + ": tensor " + layer.info.tensor, error.what());
    }
    times_.solve += watch.seconds();
    store_.put(layer.info.name, result);
    return std::move(result.values);
  }

  void report() {
    const auto total = static_cast<int64_t>(planned_.size());
    context_.progress({"compress", total - left_, total, "layers"});
  }

  const Model& model_;
  const Calibration& calibration_;
  const LayerStore& store_;
  Context& context_;
  std::map<std::string, const PlannedLayer*, std::less<>> planned_;
  std::vector<State> states_;
  int64_t left_ = 0;  // layers
  CalibrationTimes times_;
};

}  // namespace

CalibrationTimes compress_blocks(const Model& model, const CompressionPlan& plan,
                                 const Calibration& calibration, const LayerStore& store,
                                 Context& context) {
  return BlockWalk(model, plan, calibration, store, context).run();
}

}  // namespace scant
