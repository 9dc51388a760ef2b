#include "compress/calibrated_blocks.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "compress/block_grams.h"
#include "compress/hidden_states.h"
#include "compress/packed_output.h"
#include "compress/refit/block_refit.h"
#include "compress/replaced_weights.h"
#include "core/error.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

// Samples whose inputs are held at once: fixed, because it decides the order of the sums.
constexpr int64_t kBatch = 8;

std::vector<const PlannedLayer*> block_layers(const CompressionPlan& plan) {
  std::vector<const PlannedLayer*> layers;
  for (const PlannedLayer& layer : plan.layers) {
    if (layer.plan.changes_weights() && layer.info.block >= 0) layers.push_back(&layer);
  }
  return layers;
}

/// Floats that the refit of a layer takes at most: what the block holds of the weight and its
/// gradient, the latent weight with its start and moments; inputs and outputs with their gradients.
int64_t refit_values(const LinearInfo& info, int64_t window) {
  return 7 * info.outputs * info.inputs + kRefitBatch * window * 2 * (info.inputs + info.outputs);
}

/// Whether a method reads the inputs that layers have in the dense model besides those that they
/// have now.
bool matches_outputs(const CompressionPlan& plan, const Calibration& calibration) {
  return calibration.from_compressed &&
         std::ranges::any_of(block_layers(plan), [](const PlannedLayer* layer) {
           return matches_dense_outputs(layer->plan.weights);
         });
}

bool needs_dense_states(const CompressionPlan& plan, const Calibration& calibration) {
  return plan.refit_epochs > 0 || matches_outputs(plan, calibration);
}

using BlockStatistics = std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>>;

class BlockWalk {
 public:
  BlockWalk(const Model& model, const CompressionPlan& plan, const Calibration& calibration,
            const LayerStore* store, Context& context)
      : model_(model),
        calibration_(calibration),
        store_(store),
        context_(context),
        refit_epochs_(plan.refit_epochs),
        matches_outputs_(matches_outputs(plan, calibration)) {
    for (const PlannedLayer* layer : block_layers(plan)) planned_.emplace(layer->info.name, layer);
    left_ = static_cast<int64_t>(planned_.size());
    blocks_ = std::ranges::count_if(model.stages(), [&](const auto& stage) {
      return std::ranges::any_of(
          stage->linears(), [&](const LinearInfo& info) { return planned_.contains(info.name); });
    });
    const auto samples = static_cast<int64_t>(calibration.windows.size());
    states_ = HiddenStates(samples, calibration.states);
    if (needs_dense_states(plan, calibration)) {
      dense_states_ = HiddenStates(samples, calibration.states);
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
      advance(*dense, states_);
      advance(*dense, dense_states_);
      return;
    }
    ReplacedWeights weights(model_.weights(), std::nullopt);
    if (take_finished(stage, layers, weights)) {
      advance(*dense, dense_states_);
    } else {
      compress_stage(stage, *dense, layers, weights);
    }
    left_ -= static_cast<int64_t>(layers.size());
    ++finished_blocks_;
    report(left_);
    if (left_ == 0) return;
    advance(calibration_.from_compressed ? *stage.load(weights) : *dense, states_);
  }

  /// True if an earlier run finished the whole stage.
  bool take_finished(const Stage& stage, const std::vector<const PlannedLayer*>& layers,
                     ReplacedWeights& weights) {
    if (store_ == nullptr) return false;
    std::vector<Matrix> values;
    for (const PlannedLayer* layer : layers) {
      auto finished = store_->find(layer->info.name, layer->info.outputs, layer->info.inputs);
      if (!finished) return false;
      values.push_back(std::move(finished->values));
    }
    if (refit_epochs_ > 0) {
      const auto refit = store_->find_refit(stage.name());
      if (!refit) return false;
      take_vectors(*refit, weights);
    }
    for (size_t i = 0; i < layers.size(); ++i) {
      weights.replace(layers[i]->info.name, std::move(values[i]));
    }
    return true;
  }

  static void take_vectors(const RefitResult& refit, ReplacedWeights& weights) {
    for (const auto& [tensor, values] : refit.vectors) weights.replace_vector(tensor, values);
  }

  void compress_stage(const Stage& stage, const LoadedStage& dense,
                      const std::vector<const PlannedLayer*>& layers, ReplacedWeights& weights) {
    const BlockStatistics statistics = measure(dense, stage.linears().back().name);
    std::map<std::string, CompressedMatrix> results;
    for (const PlannedLayer* layer : layers) {
      const std::string& name = layer->info.name;
      results.emplace(name, compress(*layer, *statistics.at(name)));
      if (refit_epochs_ == 0) report(left_ - static_cast<int64_t>(results.size()));
    }
    if (refit_epochs_ > 0) {
      const RefitResult refitted = refit(stage, results);
      if (refitted.improved()) {
        for (const PlannedLayer* layer : layers) {
          const std::string& name = layer->info.name;
          finish_values(*layer, *statistics.at(name), results.at(name));
        }
      }
      take_vectors(refitted, weights);
      if (store_ != nullptr) store_->put_refit(stage.name(), refitted);
    }
    for (auto& [name, result] : results) {
      const auto packing = packing_of(*planned_.at(name));
      CompressedLayer layer =
          CompressedLayer::from(std::move(result), packing ? &*packing : nullptr);
      if (store_ != nullptr) store_->put(name, layer);
      weights.replace(name, std::move(layer.values));
    }
  }

  std::optional<PackedSpec> packing_of(const PlannedLayer& layer) const {
    if (store_ == nullptr || !store_->packs()) return std::nullopt;
    return packed_entry_of(layer, model_.checkpoint().require(layer.info.tensor)).spec;
  }

  RefitResult refit(const Stage& stage, std::map<std::string, CompressedMatrix>& results) {
    const Stopwatch watch;
    const BlockRefit task{.stage = stage,
                          .model = model_,
                          .inputs = states_,
                          .targets = dense_states_,
                          .windows = static_cast<int64_t>(calibration_.windows.size()),
                          .epochs = refit_epochs_,
                          .seed = hash_text(stage.name().data(), stage.name().size()),
                          .after_step = [&](int64_t steps) { report(left_, steps); }};
    RefitResult result = refit_block(task, results, context_);
    times_.refit += watch.seconds();
    return result;
  }

  /// Values without a number format stay in the type that they had, which their size counts: they
  /// are rounded to it. Errors anew.
  void finish_values(const PlannedLayer& layer, const InputStatistics& inputs,
                     CompressedMatrix& result) {
    const Matrix dense = dense_weight(model_.weights().linear(layer.info));
    const ConstMatrixView weight = dense.view();
    const MatrixView values = result.values.view();
    if (!layer.plan.weights.format) {
      const StoredTensor& stored = model_.checkpoint().require(layer.info.tensor);
      quantize_rows(values, values, plain_format_of(stored));
    }
    result.output_error = relative_output_error(weight, values, inputs, context_);
    result.error = matrix_error(weight, values, result.mask ? &*result.mask : nullptr, context_);
  }

  State state_of(int64_t sample, Matrix hidden) const {
    return {calibration_.windows[static_cast<size_t>(sample)], 0, std::move(hidden)};
  }

  void advance(const LoadedStage& stage, HiddenStates& states) {
    if (states.empty()) return;
    const Stopwatch watch;
    for_samples(0, static_cast<int64_t>(calibration_.windows.size()), [&](int64_t i) {
      State state = state_of(i, states.take(i));
      stage.run(state, i, nullptr);
      states.put(i, std::move(state.hidden));
    });
    times_.forward += watch.seconds();
  }

  template <typename Run>
  void for_samples(int64_t begin, int64_t end, const Run& run) {
    context_.threads.parallel_for(end - begin, [&](int64_t i) {
      stop_if_asked();
      run(begin + i);
    });
  }

  /// Statistics of the inputs that the block has now, up to its last layer; the dense states go
  /// through it meanwhile.
  BlockStatistics measure(const LoadedStage& stage, const std::string& last) {
    InputTap inputs(kBatch, last), dense_inputs(kBatch);
    BlockGrams grams;
    const auto samples = static_cast<int64_t>(calibration_.windows.size());
    for (int64_t begin = 0; begin < samples; begin += kBatch) {
      const Stopwatch forward;
      for_samples(begin, std::min(samples, begin + kBatch), [&](int64_t i) {
        State state = state_of(i, states_.get(i));
        stage.run(state, i - begin, &inputs);
        if (dense_states_.empty()) return;
        State dense = state_of(i, dense_states_.take(i));
        stage.run(dense, i - begin, matches_outputs_ ? &dense_inputs : nullptr);
        dense_states_.put(i, std::move(dense.hidden));
      });
      times_.forward += forward.seconds();
      const Stopwatch gram;
      grams.add(inputs, matches_outputs_ ? &dense_inputs : nullptr, context_);
      times_.gram += gram.seconds();
    }
    return grams.finish();
  }

  CompressedMatrix compress(const PlannedLayer& layer, const InputStatistics& inputs) {
    stop_if_asked();
    for (const float norm : inputs.squared_norms()) {
      if (!std::isfinite(norm)) {
        throw Error(model_.checkpoint().path() + ": layer " + layer.info.name,
                    "its inputs on the calibration text are not finite");
      }
    }
    const Stopwatch watch;
    const Matrix weight = dense_weight(model_.weights().linear(layer.info));
    CompressedMatrix result;
    try {
      result = compress_matrix(weight.view(), layer.plan.weights, Statistics{&inputs}, context_);
    } catch (const Error& error) {
      throw Error(model_.checkpoint().path() + ": tensor " + layer.info.tensor, error.what());
    }
    if (!layer.plan.weights.format) finish_values(layer, inputs, result);
    times_.solve += watch.seconds();
    return result;
  }

  void stop_if_asked() const {
    if (context_.cancelled()) {
      throw Error("compress", "stopped; --resume goes on from the finished blocks");
    }
  }

  /// With refits their steps are what takes the time.
  void report(int64_t left, int64_t steps = 0) {
    const auto total = static_cast<int64_t>(planned_.size());
    if (refit_epochs_ == 0) {
      context_.progress({"compress", total - left, total, "layers"});
      return;
    }
    const auto windows = static_cast<int64_t>(calibration_.windows.size());
    const int64_t each = refit_steps(windows, refit_epochs_);
    const int64_t done = finished_blocks_ * each + steps;
    context_.progress({"compress", done, blocks_ * each, "steps"});
  }

  const Model& model_;
  const Calibration& calibration_;
  const LayerStore* store_;  // null: results are only measured
  Context& context_;
  int64_t refit_epochs_;
  bool matches_outputs_;
  std::map<std::string, const PlannedLayer*, std::less<>> planned_;
  HiddenStates states_;        // after the compressed blocks
  HiddenStates dense_states_;  // after the dense ones; empty where nothing asks for them
  int64_t left_ = 0;           // layers
  int64_t blocks_ = 0, finished_blocks_ = 0;
  CalibrationTimes times_;
};

}  // namespace

CalibrationTimes compress_blocks(const Model& model, const CompressionPlan& plan,
                                 const Calibration& calibration, const LayerStore& store,
                                 Context& context) {
  return BlockWalk(model, plan, calibration, &store, context).run();
}

CalibrationTimes estimate_blocks(const Model& model, const CompressionPlan& plan,
                                 const Calibration& calibration, Context& context) {
  const std::vector<const PlannedLayer*> layers = block_layers(plan);
  if (layers.empty()) return {};
  const int64_t first = (*std::ranges::min_element(layers, {}, [](const PlannedLayer* layer) {
                          return layer->info.block;
                        }))->info.block;
  CompressionPlan probe;
  double all = 0, probed = 0;  // weights
  for (const PlannedLayer* layer : layers) {
    const auto weights = static_cast<double>(layer->info.outputs * layer->info.inputs);
    all += weights;
    if (layer->info.block != first) continue;
    probe.layers.push_back(*layer);
    probed += weights;
  }
  probe.refit_epochs = std::min<int64_t>(plan.refit_epochs, 1);
  Calibration few = calibration;
  few.windows.resize(std::min(few.windows.size(), static_cast<size_t>(kBatch)));
  few.states.offload.reset();
  Context quiet = context;
  quiet.progress = [](const Progress&) {};
  CalibrationTimes times = BlockWalk(model, probe, few, nullptr, quiet).run();
  const double windows =
      static_cast<double>(calibration.windows.size()) / static_cast<double>(few.windows.size());
  // The probe does not go on to a next block: each block is run once more for that.
  times.forward *= 2 * windows * all / probed;
  times.gram *= windows * all / probed;
  times.solve *= all / probed;
  times.refit *= windows * static_cast<double>(plan.refit_epochs) * all / probed;
  return times;
}

int64_t block_memory(const Model& model, const CompressionPlan& plan,
                     const Calibration& calibration) {
  const auto windows = static_cast<int64_t>(calibration.windows.size());
  const int64_t window = static_cast<int64_t>(calibration.windows.front().size());
  const int64_t chains = needs_dense_states(plan, calibration) ? 2 : 1;
  int64_t block = 0;
  for (const auto& stage : model.stages()) {
    int64_t values = 0;
    for (const LinearInfo& info : stage->linears()) {
      // The weight dense and compressed; at worst a Gram matrix, its factor and inputs of its own.
      values += 2 * info.outputs * info.inputs;
      values += (chains + 1) * info.inputs * info.inputs + chains * kBatch * window * info.inputs;
      if (plan.refit_epochs > 0) values += refit_values(info, window);
    }
    block = std::max(block, values);
  }
  constexpr int64_t kSolverValues = 6;  // per weight of a layer: copies, candidates, codes, mask
  const int64_t states = chains * windows * window * model.facts().hidden;
  return HiddenStates::memory(states, calibration.states) +
         4 * (block + kSolverValues * plan.largest_layer);
}

}  // namespace scant
