#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace scant {

/// Weights for property tests, rounded to bf16, every row of another kind: Gaussian, small
/// integers, halves of them, +-max pairs, a power of two at the maximum, mostly zeros, heavy tails,
/// all equal. Unlike Gaussian float32 they really produce ties.
Matrix random_blocks(int64_t rows, int64_t cols, uint64_t stream);
inline constexpr int64_t kBlockKinds = 8;

/// Gaussian rows whose scales are powers of `ratio`.
Matrix rows_of_unequal_scale(int64_t rows, int64_t cols, float ratio, uint64_t stream);

/// H = X^T X of `tokens` inputs whose features are correlated and of unequal size; one of seven is
/// always 0.
Matrix random_gram(int64_t features, int64_t tokens, uint64_t stream);

}  // namespace scant
