#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compress/hidden_states.h"
#include "core/context.h"
#include "methods/compressed_matrix.h"
#include "models/model.h"

namespace scant {

/// A block whose layers are compressed, and what it should make of its inputs.
struct BlockRefit {
  const Stage& stage;
  const Model& model;           ///< the dense one
  const HiddenStates& inputs;   ///< of all calibration windows
  const HiddenStates& targets;  ///< what the dense block makes of the dense model's states
  int64_t windows = 0;
  int64_t epochs = 0;  ///< over the windows that are fitted
  uint64_t seed = 0;   ///< of the order of windows
  /// Called after each of refit_steps() steps with how many are done.
  std::function<void(int64_t)> after_step = [](int64_t) {};
};

/// Steps that a refit of so many windows takes.
int64_t refit_steps(int64_t windows, int64_t epochs);

/// What a refit did to a block.
struct RefitResult {
  /// sqrt(sum (y - target)^2 / sum target^2) on windows that were not fitted.
  double before = 0, after = 0;
  /// Norms and biases of the block, as its checkpoint can store them.
  std::map<std::string, std::vector<float>> vectors;
  bool improved() const { return after < before; }
};

/// Windows of one step.
inline constexpr int64_t kRefitBatch = 2;

/// The fewest windows that can be fitted and judged.
inline constexpr int64_t kFewestRefitWindows = 3;

/// Fits kept values, scales, norms and biases of a block together, so that its outputs come near
/// to the targets (as in block-wise reconstruction, arXiv 2102.05426 and 2510.14444): Adam on the
/// codes' latent values, pulled back to where they started, and the logarithms of scales; masks
/// stay. Every eighth window is not fitted; if the block's error on those does not fall, nothing
/// changes. `layers`: results of the compressed layers by module name, dense where they are
/// compared. Deterministic for any number of threads. Throws Error when the user asked to stop.
RefitResult refit_block(const BlockRefit& task, std::map<std::string, CompressedMatrix>& layers,
                        Context& context);

}  // namespace scant
