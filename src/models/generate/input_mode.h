#pragma once

#include "models/linear.h"

namespace scant {

/// `base` with inputs that meet packed weights in the way that is asked for.
class InputMode : public WeightSource {
 public:
  /// `base` must outlive this.
  InputMode(const WeightSource& base, PackedInputs inputs) : base_(base), inputs_(inputs) {}
  Matrix parameter(const std::string& tensor) const override { return base_.parameter(tensor); }
  bool has(const std::string& tensor) const override { return base_.has(tensor); }
  Matrix rows(const std::string& tensor, int64_t begin, int64_t count) const override {
    return base_.rows(tensor, begin, count);
  }
  LinearLayer linear(const LinearInfo& info) const override {
    LinearLayer layer = base_.linear(info);
    layer.packed_inputs = inputs_;
    return layer;
  }

 private:
  const WeightSource& base_;
  PackedInputs inputs_;
};

}  // namespace scant
