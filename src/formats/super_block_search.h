#pragma once

#include "formats/elements/integer_grid.h"
#include "formats/segment.h"
#include "formats/super_block.h"

namespace scant {

/// The scales (and offsets) of one super-block, at most SuperBlock::values values, for the least
/// sum of squared errors of the values that take part, each weighted by its importance:
///   1. every block alone: lines through several ranges, each fitted to its codes (block_line.h)
///   2. a float16 for all scales and one for all offsets, and per block the integers of least
///      error, found from the nearest ones step by step
///   3. both float16 fitted again to codes and integers, as long as the error falls
/// Errors are those of the stored numbers. What is too small for float16 becomes 0, what is too
/// large saturates. A block whose values all have importance 0 counts them alike.
SuperBlockScales search_super_block(const SuperBlock& shape, const IntegerGrid& levels,
                                    const Segment& values);

}  // namespace scant
