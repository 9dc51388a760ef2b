#include "compress/interplay/study_runner.h"

#include <algorithm>
#include <cmath>

#include "compress/interplay/cell_grid.h"
#include "compress/plan.h"
#include "compress/replaced_weights.h"
#include "core/error.h"
#include "core/stopwatch.h"
#include "evaluate/score_collector.h"

namespace scant {
namespace {

constexpr int64_t kWaveMemory = int64_t{1536} << 20;
constexpr int64_t kGrowthMemory = int64_t{256} << 20;
constexpr int64_t kMostGrowthWindows = 8;

/// Squared norms of a difference and of what it is measured against, in a fixed order.
double relative_error(std::span<const State> states, const std::vector<Matrix>& dense) {
  double error = 0;
  double norm = 0;
  for (size_t w = 0; w < dense.size(); ++w) {
    const Matrix& a = states[w].hidden;
    const Matrix& b = dense[w];
    for (int64_t r = 0; r < a.rows(); ++r) {
      for (int64_t c = 0; c < a.cols(); ++c) {
        const double difference = static_cast<double>(a(r, c)) - b(r, c);
        error += difference * difference;
        norm += static_cast<double>(b(r, c)) * b(r, c);
      }
    }
  }
  return norm > 0 ? std::sqrt(error / norm) : 0.0;
}

std::vector<State> all_states(const TextWindows& text) {
  std::vector<State> states;
  for (int64_t i = 0; i < text.size(); ++i) states.push_back(text.sample(i).state);
  return states;
}

std::vector<int64_t> first_scored_of(const TextWindows& text) {
  std::vector<int64_t> first;
  for (int64_t i = 0; i < text.size(); ++i) first.push_back(text.sample(i).first_scored);
  return first;
}

void run_loaded(const LoadedStage& stage, std::span<State> states, Context& context) {
  context.threads.parallel_for(static_cast<int64_t>(states.size()), [&](int64_t i) {
    if (context.cancelled()) throw Error("", "stopped");
    stage.run(states[static_cast<size_t>(i)], i, nullptr);
  });
}

void set_scores(Cell& cell, TextScores scores) {
  if (!std::isfinite(scores.nll.value)) {
    cell.failure = "its logits are not finite on this text";
    cell.growth.clear();
    return;
  }
  cell.nll = std::move(scores.nll);
  if (!scores.divergence) return;
  cell.kl = std::move(scores.divergence->kl);
  cell.kl_p99 = scores.divergence->kl_p99;
  cell.top1_agreement = scores.divergence->top1_agreement;
}

}  // namespace

/// A cell on its way through the stages.
struct StudyRunner::Running {
  Cell cell;
  std::vector<State> states;
  std::optional<NumberFormat> activation;
  std::optional<ReplacedWeights> weights;  ///< of the stage that is next
  bool failed() const { return !cell.failure.empty(); }
};

StudyRunner::StudyRunner(const Model& model, const TextWindows& text,
                         const TextWindows& calibration, StudyTimes& times, Context& context)
    : model_(model),
      text_(text),
      calibration_(calibration),
      times_(times),
      context_(context),
      layers_(model.linears()) {}

int64_t StudyRunner::cells_at_once() const {
  int64_t block = 0;
  for (const auto& stage : model_.stages()) {
    int64_t weights = 0;
    for (const LinearInfo& info : stage->linears()) weights += info.outputs * info.inputs;
    block = std::max(block, weights);
  }
  const int64_t per_cell = 4 * (text_.tokens_used() * model_.facts().hidden + block);
  return std::max<int64_t>(1, kWaveMemory / per_cell - 1);
}

int64_t StudyRunner::growth_windows() const {
  const int64_t window = text_.window();
  const int64_t per_window =
      4 * static_cast<int64_t>(model_.stages().size()) * window * model_.facts().hidden;
  return std::min(std::clamp<int64_t>(kGrowthMemory / per_window, 1, kMostGrowthWindows),
                  text_.size());
}

int64_t StudyRunner::layer_number(const std::string& name) const {
  const auto found = std::ranges::find(layers_, name, &LinearInfo::name);
  return found - layers_.begin();
}

const Cell& StudyRunner::dense() {
  if (!dense_) run_dense();
  return *dense_;
}

void StudyRunner::run_dense() {
  const Stopwatch watch;
  dense_states_ = all_states(text_);
  const auto windows = static_cast<size_t>(growth_windows());
  for (const auto& stage : model_.stages()) {
    run_loaded(*stage->load(model_.weights()), dense_states_, context_);
    std::vector<Matrix>& kept = dense_growth_.emplace_back();
    for (size_t w = 0; w < windows; ++w) {
      kept.push_back(Matrix::copy_of(dense_states_[w].hidden.view()));
    }
  }
  times_.forward += watch.seconds();
  const Stopwatch head;
  const Subject subject(model_);
  const FinishedStates finished{&subject, dense_states_};
  const auto scores =
      score_heads(std::span(&finished, 1), nullptr, first_scored_of(text_), context_);
  ScoreCollector collector;
  for (const HeadScores& sample : scores[0]) collector.add(sample);
  Cell cell;
  set_scores(cell, collector.finish());
  if (!cell.failure.empty()) throw Error(model_.checkpoint().path(), cell.failure);
  cell.kl.name = "kl";
  cell.kl.sums.assign(cell.nll.sums.size(), 0.0);
  cell.kl.counts = cell.nll.counts;
  cell.growth.assign(model_.stages().size(), 0.0);
  for (const LinearInfo& info : layers_) {
    cell.bytes += model_.checkpoint().require(info.tensor).bytes;
  }
  dense_ = std::move(cell);
  times_.head += head.seconds();
}

StudyRunner::Result StudyRunner::run(const Wave& wave, const std::function<void(double)>& advance) {
  dense();
  if (!wave.figures.empty() && !inputs_) {
    const Stopwatch watch;
    inputs_ = collect_inputs(model_, calibration_, context_);
    times_.figures += watch.seconds();
  }
  std::vector<Running> running;
  for (const CellSpec& spec : wave.cells) {
    Running one;
    one.cell.spec = spec;
    one.states = all_states(text_);
    if (spec.activations) one.activation = activation_format(*wave.format);
    running.push_back(std::move(one));
  }
  Result result;
  // The head weighs about as much as two stages.
  const auto steps = static_cast<double>(model_.stages().size() + 2);
  for (size_t index = 0; index < model_.stages().size(); ++index) {
    const Stage& stage = *model_.stages()[index];
    for (Running& one : running) one.weights.emplace(model_.weights(), one.activation);
    compress_stage(wave, stage, running, result);
    forward_stage(stage, index, running);
    advance(static_cast<double>(index + 1) / steps);
  }
  score(running, result, [&](double share) { advance((steps - 2 + 2 * share) / steps); });
  return result;
}

void StudyRunner::compress_stage(const Wave& wave, const Stage& stage,
                                 std::vector<Running>& running, Result& result) {
  const std::vector<LinearInfo>& linears = stage.linears();
  const Stopwatch watch;
  std::vector<LayerCells> layers(linears.size());
  context_.threads.parallel_for(static_cast<int64_t>(linears.size()), [&](int64_t i) {
    if (context_.cancelled()) throw Error("", "stopped");
    const LinearInfo& info = linears[static_cast<size_t>(i)];
    if (wave.made) {
      for (const CellSpec& cell : wave.cells) {
        layers[static_cast<size_t>(i)].cells.push_back(wave.made(cell, info));
      }
      return;
    }
    const Matrix weight = dense_weight(model_.weights().linear(info));
    const Matrix* input = inputs_ ? inputs_->by_layer.at(info.name).get() : nullptr;
    layers[static_cast<size_t>(i)] =
        compress_cells(weight.view(), plain_format_of(model_.checkpoint().require(info.tensor)),
                       wave, input, info.name, context_);
  });
  double compress = 0;
  double figures = 0;
  for (size_t i = 0; i < linears.size(); ++i) {
    LayerCells& layer = layers[i];
    compress += layer.compress_seconds;
    figures += layer.figures_seconds;
    const int64_t number = layer_number(linears[i].name);
    for (TensorFigures& row : layer.tensors) {
      row.layer = number;
      result.tensors.push_back(std::move(row));
    }
    for (LayerFigures& row : layer.layers) {
      row.layer = number;
      result.layers.push_back(std::move(row));
    }
    for (size_t c = 0; c < running.size(); ++c) {
      Running& one = running[c];
      LayerCells::OfCell& made = layer.cells[c];
      if (!made.failure.empty() && !one.failed()) {
        one.cell.failure = linears[i].name + ": " + made.failure;
      }
      if (one.failed()) continue;
      one.cell.bytes += made.size.total();
      one.weights->replace(linears[i].name, std::move(made.values));
    }
  }
  const double wall = watch.seconds();
  const double both = std::max(compress + figures, 1e-9);
  times_.compress += wall * compress / both;
  times_.figures += wall * figures / both;
}

void StudyRunner::forward_stage(const Stage& stage, size_t index, std::vector<Running>& running) {
  for (Running& one : running) {
    if (one.failed()) {
      one.states.clear();
      continue;
    }
    const Stopwatch watch;
    run_loaded(*stage.load(*one.weights), one.states, context_);
    one.weights.reset();
    times_.forward += watch.seconds();
    const Stopwatch compare;
    one.cell.growth.push_back(relative_error(one.states, dense_growth_[index]));
    times_.figures += compare.seconds();
  }
}

void StudyRunner::score(std::vector<Running>& running, Result& result,
                        const std::function<void(double)>& after_slice) {
  const Stopwatch watch;
  const Subject subject(model_);
  const FinishedStates reference{&subject, dense_states_};
  std::vector<FinishedStates> finished;
  for (const Running& one : running) {
    if (!one.failed()) finished.push_back({&subject, one.states});
  }
  const auto scores =
      score_heads(finished, &reference, first_scored_of(text_), context_, after_slice);
  size_t next = 0;
  for (Running& one : running) {
    if (!one.failed()) {
      ScoreCollector collector;
      for (const HeadScores& sample : scores[next]) collector.add(sample);
      set_scores(one.cell, collector.finish());
      ++next;
    }
    result.cells.push_back(std::move(one.cell));
  }
  times_.head += watch.seconds();
}

void run_stage_range(const Model& model, const WeightSource& weights, size_t begin, size_t end,
                     std::span<State> states, Context& context) {
  for (size_t index = begin; index < end; ++index) {
    run_loaded(*model.stages()[index]->load(weights), states, context);
  }
}

}  // namespace scant
