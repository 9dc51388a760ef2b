#pragma once

#include <cstdint>

#include "formats/size.h"

namespace scant {

/// Bytes that hold `bits`.
constexpr int64_t bytes_of(int64_t bits) { return (bits + 7) / 8; }

/// Codes of `kept` values that take up `stored` bytes, rows or blocks filled up: the rest is
/// padding.
void add_codes(StoredSize& size, const StoredMatrix& matrix, int64_t stored);

/// Scales, zero points and constants. Scales take whole bytes, each; zero points stand one after
/// the other and fill up their last byte; a constant is a float32.
void add_scales(StoredSize& size, const StoredMatrix& matrix, int64_t scale_count);

/// The scales of every block of the matrix, pruned or not.
int64_t all_scales(const StoredMatrix& matrix);

}  // namespace scant
