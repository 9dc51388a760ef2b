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

  /// work(begin, count) for all of `rows` tokens, on the threads that there are: for what treats
  /// every token alone.
  template <typename Work>
  void for_rows(int64_t rows, const Work& work) const {
    constexpr int64_t kStep = 16;
    if (state.threads == nullptr || rows <= kStep) return work(0, rows);
    state.threads->parallel_for((rows + kStep - 1) / kStep, [&](int64_t piece) {
      work(piece * kStep, std::min(kStep, rows - piece * kStep));
    });
  }
  /// The same for heads and other independent pieces.
  template <typename Work>
  void for_pieces(int64_t pieces, const Work& work) const {
    if (state.threads != nullptr) return state.threads->parallel_for(pieces, work);
    for (int64_t i = 0; i < pieces; ++i) work(i);
  }

  void linear(const LinearLayer& layer, ConstMatrixView x, MatrixView y,
              LinearOutput output = LinearOutput::kAssign) const {
    const Rotation* rotation = layer.info.input_rotation.get();
    if (rotation != nullptr) {
      const MatrixView rotated = scratch.take(x.rows, x.cols);
      for_rows(x.rows, [&](int64_t begin, int64_t count) {
        const MatrixView some = rotated.rows_from(begin, count);
        for (int64_t r = 0; r < count; ++r) std::copy_n(x.row(begin + r), x.cols, some.row(r));
        rotation->rotate_rows(some);
      });
      x = rotated;
    }
    show(std::span(&layer, 1), x);
    if (tap == nullptr || tap->needs_output(layer.info)) {
      scant::linear(layer, x, y, output, state.threads);
    }
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
    scant::linear_shared(layers, x, ys, state.threads);
  }

 private:
  void show(std::span<const LinearLayer> readers, ConstMatrixView x) const {
    if (tap != nullptr) tap->linear_input(readers, x, sample);
  }
};

}  // namespace scant
