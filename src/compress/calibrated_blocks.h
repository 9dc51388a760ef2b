#pragma once

#include "compress/calibration.h"
#include "compress/compressed_layer.h"
#include "compress/plan.h"

namespace scant {

/// Where the time of a calibrated compression went, in seconds of the clock.
struct CalibrationTimes {
  double forward = 0;  ///< blocks over the calibration windows
  double gram = 0;     ///< sums of X^T X
  double solve = 0;    ///< methods, factorisations included
  double refit = 0;    ///< of blocks whose layers are solved
  double total() const { return forward + gram + solve + refit; }
};

/// Compresses the planned layers of the blocks, block by block: hidden states of all windows are
/// held as `calibration.states` says, one block's weights and Gram matrices at a time. After
/// its layers a block is refitted if the plan says so; then its results go to `store`. Blocks that
/// are there are not computed again. Results do not depend on the number of threads nor on how
/// often the run was interrupted. Throws Error on
/// non-finite weights or inputs (naming the layer), and when the user asked to stop.
CalibrationTimes compress_blocks(const Model& model, const CompressionPlan& plan,
                                 const Calibration& calibration, const LayerStore& store,
                                 Context& context);

/// What compress_blocks() would take, from its first block on a few of the windows.
CalibrationTimes estimate_blocks(const Model& model, const CompressionPlan& plan,
                                 const Calibration& calibration, Context& context);

/// Peak of anonymous memory of compress_blocks(): hidden states, one block's weights, Gram matrices
/// and inputs, what a method holds of its largest layer.
int64_t block_memory(const Model& model, const CompressionPlan& plan,
                     const Calibration& calibration);

}  // namespace scant
