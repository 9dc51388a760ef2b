#pragma once

#include <optional>
#include <string_view>

#include "core/tensor.h"
#include "kernels/activation/rows.h"

namespace scant {

/// x = f(x), in place.
void activate(Activation kind, MatrixView x);

/// gate = f(gate) * up, in place; same shapes.
void activate_gated(Activation kind, MatrixView gate, ConstMatrixView up);

/// The row of the kernel table that runs now, for messages and tests.
std::string_view activation_kernel();

}  // namespace scant
