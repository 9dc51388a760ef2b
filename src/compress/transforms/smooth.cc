#include "compress/transforms/smooth.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "compress/input_ranges.h"
#include "compress/transforms/transformed_checkpoint.h"
#include "core/error.h"
#include "models/structure.h"

namespace scant {
namespace {

using Factors = std::vector<float>;
using ColumnMaxima = std::map<std::string, Factors, std::less<>>;  // of inputs, by layer

void raise(Factors& maxima, int64_t at, float value) {
  float& maximum = maxima[static_cast<size_t>(at)];
  maximum = std::max(maximum, std::fabs(value));
}

Factors smoothing(const Factors& inputs, const Factors& weights, double alpha) {
  constexpr float kSmallest = 1e-5f;
  Factors result(inputs.size(), 1.0f);
  for (size_t j = 0; j < inputs.size(); ++j) {
    if (inputs[j] == 0.0f || weights[j] == 0.0f) continue;  // nothing to move
    const double factor = std::pow(static_cast<double>(inputs[j]), alpha) /
                          std::pow(static_cast<double>(weights[j]), 1.0 - alpha);
    result[j] = std::clamp(static_cast<float>(factor), kSmallest, 1.0f / kSmallest);
  }
  return result;
}

Factors reciprocals(Factors factors) {
  for (float& factor : factors) factor = 1.0f / factor;
  return factors;
}

class Smoother {
 public:
  Smoother(const Model& model, double alpha, ColumnMaxima inputs)
      : model_(model), alpha_(alpha), inputs_(std::move(inputs)) {}

  CheckpointEdits edits() {
    const ModelStructure structure = model_.structure();
    if (structure.obstacles.empty()) {
      for (const NormReaders& entry : structure.norms) smooth(entry);
    }
    for (const LayerFeed& feed : structure.feeds) smooth(feed);
    if (edits_.tensors.empty()) {
      throw Error(model_.checkpoint().path(),
                  "cannot be smoothed: no norm or layer is there to fold the factors into");
    }
    return std::move(edits_);
  }

 private:
  void smooth(const NormReaders& entry) {
    if (entry.norm.weight.empty()) return;
    const Factors& inputs = inputs_.at(entry.readers.front().name);
    Factors weights(inputs.size(), 0.0f);
    for (const LinearInfo& reader : entry.readers) {
      each_weight(reader, [&](int64_t input, float value) { raise(weights, input, value); });
    }
    const Factors factors = smoothing(inputs, weights, alpha_);
    const Factors inverse = reciprocals(factors);
    for (const std::string& vector : {entry.norm.weight, entry.norm.bias}) {
      if (!vector.empty()) {
        multiply(edits_.tensors[vector].rows, static_cast<int64_t>(inverse.size()), 0, inverse);
      }
    }
    for (const LinearInfo& reader : entry.readers) scale_inputs(reader, factors);
  }

  void smooth(const LayerFeed& feed) {
    if (feed.into.input_rotation) return;  // a rotation stands between the two
    const Factors& of_inputs = inputs_.at(feed.into.name);
    Factors inputs(static_cast<size_t>(feed.count), 0.0f), weights = inputs;
    for (int64_t i = 0; i < feed.into.inputs; ++i) {
      raise(inputs, feed.output_of(i), of_inputs[static_cast<size_t>(i)]);
    }
    each_weight(feed.into,
                [&](int64_t input, float value) { raise(weights, feed.output_of(input), value); });
    const Factors factors = smoothing(inputs, weights, alpha_);
    const Factors inverse = reciprocals(factors);
    TensorEdit& from = edits_.tensors[feed.from.tensor];
    const int64_t outputs = feed.from.outputs;
    multiply(feed.from.transposed ? from.columns : from.rows, outputs, feed.first, inverse);
    if (feed.from.bias) {
      multiply(edits_.tensors[feed.from.name + ".bias"].rows, outputs, feed.first, inverse);
    }
    Factors of_into(static_cast<size_t>(feed.into.inputs));
    for (int64_t i = 0; i < feed.into.inputs; ++i) {
      of_into[static_cast<size_t>(i)] = factors[static_cast<size_t>(feed.output_of(i))];
    }
    scale_inputs(feed.into, of_into);
  }

  /// visit(input, weight) for all weights of a layer.
  template <typename Visit>
  void each_weight(const LinearInfo& info, const Visit& visit) const {
    const Matrix weight = dense_weight(model_.weights().linear(info));
    for (int64_t r = 0; r < weight.rows(); ++r) {
      for (int64_t c = 0; c < weight.cols(); ++c) visit(c, weight(r, c));
    }
  }

  void scale_inputs(const LinearInfo& info, const Factors& factors) {
    TensorEdit& edit = edits_.tensors[info.tensor];
    multiply(info.transposed ? edit.rows : edit.columns, info.inputs, 0, factors);
  }

  /// The factors of `size` values that begin at `first`, times those that are there.
  static void multiply(Factors& all, int64_t size, int64_t first, const Factors& factors) {
    all.resize(static_cast<size_t>(size), 1.0f);
    for (size_t i = 0; i < factors.size(); ++i) all[static_cast<size_t>(first) + i] *= factors[i];
  }

  const Model& model_;
  double alpha_;
  ColumnMaxima inputs_;
  CheckpointEdits edits_;
};

}  // namespace

std::unique_ptr<Model> smooth_model(const Model& model, double alpha,
                                    const Calibration& calibration, Context& context) {
  ColumnMaxima inputs;
  LinearInputs rotated;
  measure_inputs(model, model.weights(), calibration, 0, context, [&](const InputRanges& ranges) {
    for (const auto& [name, range] : ranges) inputs.emplace(name, range->column_maxima);
  });
  for (const LinearInfo& info : model.linears()) {
    if (info.input_rotation) rotated.rotations.emplace(info.name, info.input_rotation);
  }
  return Model::from_checkpoint(
      std::make_shared<TransformedCheckpoint>(model.shared_checkpoint(),
                                              Smoother(model, alpha, std::move(inputs)).edits()),
      std::move(rotated));
}

}  // namespace scant
