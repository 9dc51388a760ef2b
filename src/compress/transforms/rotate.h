#pragma once

#include <cstdint>
#include <memory>

#include "models/model.h"

namespace scant {

/// Rotates the residual stream x -> x Q of a model with RMS norms (QuaRot, Ashkboos et al., arXiv
/// 2404.00456, section 4): the norms' weights g go into the layers that read them, W -> W diag(g)
/// Q, layers that write get Q^T W, the embeddings E Q, the head W diag(g) Q. RMS norm commutes with
/// Q, so that the model computes what it did; outlier features are spread over all of them. A tied
/// head becomes a tensor of its own. `down`: also the inputs of the feed-forwards' last layers, x
/// -> x R on the way (LinearInfo::input_rotation) and W -> W R; only scant runs such a model.
/// Throws Error with one sentence for what cannot be rotated so.
std::unique_ptr<Model> rotate_model(const Model& model, bool down, uint64_t seed);

}  // namespace scant
