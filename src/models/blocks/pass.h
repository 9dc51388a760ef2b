#pragma once

#include <algorithm>
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
    const Rotation* rotation = layer.info.input_rotation.get();
    if (rotation != nullptr) {
      const MatrixView rotated = scratch.take(x.rows, x.cols);
      for (int64_t r = 0; r < x.rows; ++r) std::copy_n(x.row(r), x.cols, rotated.row(r));
      rotation->rotate_rows(rotated);
      x = rotated;
    }
    show(std::span(&layer, 1), x);
    scant::linear(layer, x, y, output);
    if (rotation != nullptr) scratch.give_back(1);
  }
  void linear_shared(std::span<const LinearLayer> layers, ConstMatrixView x,
                     std::span<const MatrixView> ys) const {
    const bool rotated = std::ranges::any_of(
        layers, [](const LinearLayer& layer) { return layer.info.input_rotation != nullptr; });
    if (rotated) {  // each by itself: they may be rotated differently
      for (size_t i = 0; i < layers.size(); ++i) linear(layers[i], x, ys[i]);
      return;
    }
    show(layers, x);
    scant::linear_shared(layers, x, ys);
  }

 private:
  void show(std::span<const LinearLayer> readers, ConstMatrixView x) const {
    if (tap != nullptr) tap->linear_input(readers, x, sample);
  }
};

}  // namespace scant
