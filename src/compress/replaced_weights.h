#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/linear.h"

namespace scant {

/// The weights of a model with some linear layers and vectors replaced: what a cell evaluates.
/// Everything else comes from `base`, which must outlive this.
class ReplacedWeights : public WeightSource {
 public:
  /// `activation`: format of the inputs of the replaced layers.
  ReplacedWeights(const WeightSource& base, std::optional<NumberFormat> activation)
      : base_(base), activation_(activation) {}

  /// `values`: outputs x inputs, by module name.
  void replace(const std::string& layer, Matrix values) {
    replace(layer, [kept = std::make_shared<const Matrix>(std::move(values))] {
      return Matrix::copy_of(kept->view());
    });
  }
  /// The same read when they are needed; called from several threads at once.
  void replace(const std::string& layer, std::function<Matrix()> values) {
    values_.insert_or_assign(layer, std::move(values));
  }

  /// A norm or a bias, by tensor name.
  void replace_vector(const std::string& tensor, std::vector<float> values) {
    vectors_.insert_or_assign(tensor, std::move(values));
  }

  Matrix parameter(const std::string& tensor) const override;
  bool has(const std::string& tensor) const override { return base_.has(tensor); }
  Matrix rows(const std::string& tensor, int64_t begin, int64_t count) const override {
    return base_.rows(tensor, begin, count);
  }
  LinearLayer linear(const LinearInfo& info) const override;

 private:
  const WeightSource& base_;
  std::optional<NumberFormat> activation_;
  std::map<std::string, std::function<Matrix()>, std::less<>> values_;
  std::map<std::string, std::vector<float>, std::less<>> vectors_;
};

}  // namespace scant
