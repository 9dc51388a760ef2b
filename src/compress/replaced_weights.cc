#include "compress/replaced_weights.h"

namespace scant {

LinearLayer ReplacedWeights::linear(const LinearInfo& info) const {
  const auto found = values_.find(info.name);
  if (found == values_.end()) return base_.linear(info);
  LinearLayer layer;
  layer.info = info;
  layer.terms.emplace_back(DenseTerm{Matrix::copy_of(found->second.view())});
  if (info.bias) {
    const Matrix bias = base_.parameter(info.name + ".bias");
    layer.bias.assign(bias.values().begin(), bias.values().end());
  }
  layer.activation = activation_;
  return layer;
}

}  // namespace scant
