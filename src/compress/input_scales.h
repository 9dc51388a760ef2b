#pragma once

#include "compress/calibration.h"
#include "compress/compressed_layer.h"
#include "compress/plan.h"

namespace scant {

/// `base` with the finished layers of a plan out of their store.
class FinishedWeights : public WeightSource {
 public:
  /// All must outlive this.
  FinishedWeights(const WeightSource& base, const CompressionPlan& plan, const LayerStore& store)
      : base_(base), plan_(plan), store_(store) {}

  Matrix parameter(const std::string& tensor) const override { return base_.parameter(tensor); }
  bool has(const std::string& tensor) const override { return base_.has(tensor); }
  Matrix rows(const std::string& tensor, int64_t begin, int64_t count) const override {
    return base_.rows(tensor, begin, count);
  }
  LinearLayer linear(const LinearInfo& info) const override;

 private:
  const WeightSource& base_;
  const CompressionPlan& plan_;
  const LayerStore& store_;
};

/// How each planned layer quantizes its inputs. Scales that are static are measured on the windows,
/// with `weights`, inputs not quantized: the scale of the largest magnitude, for `:mse` formats
/// that of least squared error over some 2048 tokens. Throws Error if a method needs `calibration`
/// and there is none (null).
InputQuantizations input_quantizations(const Model& model, const WeightSource& weights,
                                       const CompressionPlan& plan, const Calibration* calibration,
                                       Context& context);

}  // namespace scant
