#pragma once

#include <memory>

#include "compress/calibration.h"
#include "core/context.h"
#include "models/model.h"

namespace scant {

/// Moves the difficulty of quantizing from the inputs of layers to their weights (SmoothQuant, Xiao
/// et al., arXiv 2211.10438, eq. 4): input j is divided and column j of the weights that read it
/// multiplied by s_j = max|x_j|^alpha / max|w_j|^(1 - alpha), the maxima over the windows and over
/// all readers. The division is folded into what makes the inputs: the norm before q, k, v and
/// before gate and up, the value projection before the attention's output, the up projection before
/// down where its output is linear in it (gated, ReLU). The model computes what it did.
/// Throws Error with one sentence if nothing of the model can be folded.
std::unique_ptr<Model> smooth_model(const Model& model, double alpha,
                                    const Calibration& calibration, Context& context);

}  // namespace scant
