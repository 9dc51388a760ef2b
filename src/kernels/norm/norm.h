#pragma once

#include <span>
#include <string_view>

#include "core/tensor.h"

namespace scant {

/// y = weight * x / sqrt(mean(x^2) + epsilon) for every row (Zhang and Sennrich, 2019). y may be x.
void rms_norm(ConstMatrixView x, std::span<const float> weight, float epsilon, MatrixView y);

/// y = weight * (x - mean(x)) / sqrt(variance(x) + epsilon) + bias for every row, variance over n
/// (Ba, Kiros and Hinton, 2016). Empty weight or bias: 1 or 0. y may be x.
void layer_norm(ConstMatrixView x, std::span<const float> weight, std::span<const float> bias,
                float epsilon, MatrixView y);

/// The row of the kernel table that runs now, for messages and tests.
std::string_view norm_kernel();

}  // namespace scant
