#pragma once

#include <span>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"

namespace scant {

/// A copy with value (r, c) times factors[c]; one factor per column.
Matrix scaled_columns(ConstMatrixView values, std::span<const float> factors, Context& context);

/// The same into `out`, which may be `values` itself.
void scale_columns(ConstMatrixView values, std::span<const float> factors, MatrixView out,
                   Context& context);

/// 1 / factor of each.
std::vector<float> inverses(std::span<const float> factors);

}  // namespace scant
