#pragma once

#include <span>

#include "models/linear.h"
#include "models/model.h"
#include "models/scratch.h"

namespace scant {

/// One sample's way through one stage: where it stands, who watches, where intermediates go.
struct Pass {
  const State& state;
  int64_t sample;
  Tap* tap;
  Scratch& scratch;

  int64_t tokens() const { return static_cast<int64_t>(state.tokens.size()); }

  void linear(const LinearLayer& layer, ConstMatrixView x, MatrixView y,
              LinearOutput output = LinearOutput::kAssign) const {
    show(std::span(&layer, 1), x);
    scant::linear(layer, x, y, output);
  }
  void linear_shared(std::span<const LinearLayer> layers, ConstMatrixView x,
                     std::span<const MatrixView> ys) const {
    show(layers, x);
    scant::linear_shared(layers, x, ys);
  }

 private:
  void show(std::span<const LinearLayer> readers, ConstMatrixView x) const {
    if (tap != nullptr) tap->linear_input(readers, x, sample);
  }
};

}  // namespace scant
