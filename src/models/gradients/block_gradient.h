#pragma once

#include <memory>

#include "models/blocks/decoder_block.h"
#include "models/gradients/differentiable.h"

namespace scant {

/// A transformer block with its derivatives.
std::unique_ptr<DifferentiableStage> differentiable_block(const DecoderBlockSpec& spec,
                                                          const WeightSource& weights);

}  // namespace scant
