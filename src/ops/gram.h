#pragma once

#include <span>

#include "core/context.h"
#include "core/tensor.h"

namespace scant {

/// gram += sum over `inputs` of X^T X in float32; X tokens x features, gram features x features.
/// Only the upper triangle is computed; complete_gram() mirrors it at the end. Cut by features, not
/// by samples, so the sum over tokens has one order whatever the number of threads.
void accumulate_gram(std::span<const ConstMatrixView> inputs, MatrixView gram, Context& context);

/// product += sum over i of A_i^T B_i in float32, all of it; A_i and B_i tokens x features. As
/// above.
void accumulate_cross_gram(std::span<const ConstMatrixView> a, std::span<const ConstMatrixView> b,
                           MatrixView product, Context& context);

/// Copies the upper triangle to the lower one.
void complete_gram(MatrixView gram);

}  // namespace scant
