#include "models/blocks/norm.h"

#include "kernels/norm/norm.h"

namespace scant {
namespace {

std::vector<float> vector_of(const std::string& tensor, const WeightSource& weights) {
  if (tensor.empty()) return {};
  const Matrix values = weights.parameter(tensor);
  return {values.values().begin(), values.values().end()};
}

}  // namespace

Norm::Norm(const NormSpec& spec, const WeightSource& weights)
    : kind_(spec.kind),
      epsilon_(spec.epsilon),
      weight_(vector_of(spec.weight, weights)),
      bias_(vector_of(spec.bias, weights)) {}

void Norm::run(ConstMatrixView x, MatrixView y) const {
  if (kind_ == NormSpec::Kind::kRms) {
    rms_norm(x, weight_, epsilon_, y);
  } else {
    layer_norm(x, weight_, bias_, epsilon_, y);
  }
}

}  // namespace scant
