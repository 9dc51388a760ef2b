#pragma once

#include <optional>
#include <vector>

#include "kernels/activation/activation.h"
#include "models/blocks/pass.h"
#include "models/config_reader.h"

namespace scant {

/// down(f(up x)), or down(f(gate x) * up x) if there is a gate.
struct FeedForwardSpec {
  Activation activation = Activation::kSilu;
  std::optional<LinearInfo> gate;
  LinearInfo up;
  LinearInfo down;
};

/// The activation that `key` names ("silu", "relu", "gelu", "gelu_new", ...), as transformers
/// spells it. Throws Error listing the known ones.
Activation activation_named(const ConfigReader& config, std::string_view key,
                            std::string_view fallback);

class FeedForward {
 public:
  FeedForward(const FeedForwardSpec& spec, const WeightSource& weights);
  /// residual += feed_forward(x)
  void run(ConstMatrixView x, MatrixView residual, const Pass& pass) const;

 private:
  Activation activation_;
  std::vector<LinearLayer> in_;  ///< gate and up, or up alone
  LinearLayer down_;
};

}  // namespace scant
