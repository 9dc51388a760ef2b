#include "compress/refit/block_refit.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <optional>

#include "checkpoint/checkpoint.h"
#include "compress/refit/latent_weight.h"
#include "core/error.h"
#include "core/random.h"
#include "models/gradients/differentiable.h"

namespace scant {
namespace {

// Measured (docs/design/0005-block-refit.md).
constexpr double kCodeRate = 0.03;    // codes
constexpr double kScaleRate = 0.005;  // natural logarithm; norms and biases relative to their size
constexpr double kPull = 0.5;         // of codes back to where they started, relative to their rate
constexpr int64_t kHeldOut = 8;       // one window of so many

int64_t held_out_windows(int64_t windows) { return std::max<int64_t>(1, windows / kHeldOut); }

int64_t batch_of(int64_t fitted) { return std::min(kRefitBatch, fitted); }

/// A vector parameter in units of its own size.
class LatentVector {
 public:
  explicit LatentVector(VectorParameter& parameter)
      : parameter_(parameter), moments_(parameter.value.size()) {
    double squares = 0;
    for (const float v : parameter.value) squares += static_cast<double>(v) * v;
    unit_ = static_cast<float>(std::sqrt(squares / static_cast<double>(parameter.value.size())));
  }

  void step(const AdamStep& step) {
    for (size_t i = 0; i < parameter_.value.size(); ++i) {
      parameter_.value[i] += unit_ * moments_.change(i, parameter_.gradient[i] * unit_, step);
    }
  }

  /// To what `checkpoint` stores exactly.
  void round_for(const Checkpoint& checkpoint) {
    const StoredTensor& stored = checkpoint.require(parameter_.tensor);
    const DType dtype = stored.dtype.value_or(DType::kF32);
    std::vector<std::byte> bytes(parameter_.value.size() * dtype_size(dtype));
    narrow(parameter_.value, dtype, bytes.data());
    widen(bytes.data(), dtype, parameter_.value);
  }

 private:
  VectorParameter& parameter_;
  AdamMoments moments_;
  float unit_ = 0;
};

class Refit {
 public:
  Refit(const BlockRefit& task, std::map<std::string, CompressedMatrix>& layers, Context& context)
      : task_(task),
        layers_(layers),
        context_(context),
        block_(task.stage.differentiable(task.model.weights())) {
    for (MatrixParameter* matrix : block_->matrices()) {
      const auto found = layers.find(matrix->name);
      if (found == layers.end()) continue;
      weights_.push_back({matrix, LatentWeight(matrix->value.view(), found->second, context)});
      std::ranges::copy(found->second.values.values(), matrix->value.values().begin());
    }
    for (VectorParameter* vector : block_->vectors()) vectors_.emplace_back(*vector);
    const int64_t held = held_out_windows(task.windows);
    for (int64_t i = 0; i < task.windows; ++i) {
      // Spread over the text.
      const bool is_held = (i + 1) * held / task.windows > i * held / task.windows;
      (is_held ? held_ : fitted_).push_back(i);
    }
  }

  RefitResult run() {
    RefitResult result;
    for (const VectorParameter* vector : block_->vectors()) {
      result.vectors[vector->tensor] = vector->value;
    }
    result.before = held_out_error();
    fit();
    for (LatentVector& vector : vectors_) vector.round_for(task_.model.checkpoint());
    evaluate_weights();
    result.after = held_out_error();
    if (!result.improved()) return result;
    for (Weight& weight : weights_) {
      std::move(weight.latent)
          .store(weight.parameter->value.view(), layers_.at(weight.parameter->name));
    }
    for (const VectorParameter* vector : block_->vectors()) {
      result.vectors[vector->tensor] = vector->value;
    }
    return result;
  }

 private:
  struct Weight {
    MatrixParameter* parameter;
    LatentWeight latent;
  };

  void fit() {
    const auto count = static_cast<int64_t>(fitted_.size());
    const int64_t batch = batch_of(count);
    const int64_t steps = refit_steps(task_.windows, task_.epochs);
    int64_t step = 0;
    for (int64_t epoch = 0; epoch < task_.epochs; ++epoch) {
      const std::vector<int64_t> order = shuffled(static_cast<uint64_t>(epoch));
      for (int64_t begin = 0; begin + batch <= count; begin += batch) {
        const double decay = 0.5 + 0.5 * std::cos(std::numbers::pi * static_cast<double>(step) /
                                                  static_cast<double>(steps));
        take_step({order.begin() + begin, order.begin() + begin + batch}, decay, ++step);
      }
    }
  }

  void take_step(const std::vector<int64_t>& windows, double decay, int64_t number) {
    if (context_.cancelled()) {
      throw Error("compress", "stopped; --resume goes on from the finished blocks");
    }
    evaluate_weights();
    const Matrix x = stack(task_.inputs, windows);
    Matrix gradient = stack(task_.targets, windows);
    const int64_t tokens = x.rows() / static_cast<int64_t>(windows.size());
    const ConstMatrixView y = block_->forward(x.view(), tokens, context_);
    // Of the squared distance, mean over tokens.
    const float factor = 2.0f / static_cast<float>(x.rows());
    for (int64_t r = 0; r < y.rows; ++r) {
      for (int64_t c = 0; c < y.cols; ++c) gradient(r, c) = factor * (y(r, c) - gradient(r, c));
    }
    block_->backward(gradient.view(), context_);
    const LatentStep step{.codes = AdamStep(kCodeRate * decay, number),
                          .scales = AdamStep(kScaleRate * decay, number),
                          .pull = static_cast<float>(kPull * kCodeRate * decay)};
    for (Weight& weight : weights_) {
      const MatrixParameter& parameter = *weight.parameter;
      weight.latent.step(parameter.value.view(), parameter.gradient.view(), step, context_);
    }
    for (LatentVector& vector : vectors_) vector.step(step.scales);
    task_.after_step(number);
  }

  void evaluate_weights() {
    for (Weight& weight : weights_) {
      weight.latent.evaluate(weight.parameter->value.view(), context_);
    }
  }

  std::vector<int64_t> shuffled(uint64_t epoch) const {
    std::vector<int64_t> order = fitted_;
    const CounterRandom random(task_.seed, epoch);
    for (size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[random.below(i, static_cast<uint32_t>(i))]);
    }
    return order;
  }

  static Matrix stack(const HiddenStates& states, const std::vector<int64_t>& windows) {
    Matrix all;
    for (size_t i = 0; i < windows.size(); ++i) {
      const Matrix state = states.get(windows[i]);
      if (i == 0) all = Matrix(state.rows() * static_cast<int64_t>(windows.size()), state.cols());
      std::ranges::copy(state.values(), all.row(static_cast<int64_t>(i) * state.rows()));
    }
    return all;
  }

  double held_out_error() {
    double squares = 0, of_target = 0;
    for (size_t begin = 0; begin < held_.size(); begin += kRefitBatch) {
      const size_t end = std::min(held_.size(), begin + kRefitBatch);
      const std::vector<int64_t> windows(held_.begin() + static_cast<int64_t>(begin),
                                         held_.begin() + static_cast<int64_t>(end));
      const Matrix x = stack(task_.inputs, windows), target = stack(task_.targets, windows);
      const ConstMatrixView y =
          block_->forward(x.view(), x.rows() / static_cast<int64_t>(windows.size()), context_);
      for (int64_t r = 0; r < y.rows; ++r) {
        for (int64_t c = 0; c < y.cols; ++c) {
          const double difference = static_cast<double>(y(r, c)) - target(r, c);
          squares += difference * difference;
          of_target += static_cast<double>(target(r, c)) * target(r, c);
        }
      }
    }
    return of_target > 0 ? std::sqrt(squares / of_target) : 0.0;
  }

  const BlockRefit& task_;
  std::map<std::string, CompressedMatrix>& layers_;
  Context& context_;
  std::unique_ptr<DifferentiableStage> block_;
  std::vector<Weight> weights_;
  std::vector<LatentVector> vectors_;
  std::vector<int64_t> fitted_, held_;  // windows
};

}  // namespace

int64_t refit_steps(int64_t windows, int64_t epochs) {
  const int64_t fitted = windows - held_out_windows(windows);
  return epochs * (fitted / batch_of(fitted));
}

RefitResult refit_block(const BlockRefit& task, std::map<std::string, CompressedMatrix>& layers,
                        Context& context) {
  return Refit(task, layers, context).run();
}

}  // namespace scant
