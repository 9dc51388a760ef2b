#include "compress/replaced_weights.h"

#include <algorithm>

namespace scant {

Matrix ReplacedWeights::parameter(const std::string& tensor) const {
  const auto found = vectors_.find(tensor);
  if (found == vectors_.end()) return base_.parameter(tensor);
  Matrix row(1, static_cast<int64_t>(found->second.size()));
  std::ranges::copy(found->second, row.values().begin());
  return row;
}

LinearLayer ReplacedWeights::linear(const LinearInfo& info) const {
  const auto found = values_.find(info.name);
  LinearLayer layer;
  if (found == values_.end()) {
    layer = base_.linear(info);
  } else {
    layer.info = info;
    layer.terms.emplace_back(DenseTerm{found->second()});
    layer.activation = activation_;
  }
  if (info.bias) {
    const Matrix bias = parameter(info.name + ".bias");
    layer.bias.assign(bias.values().begin(), bias.values().end());
  }
  return layer;
}

}  // namespace scant
