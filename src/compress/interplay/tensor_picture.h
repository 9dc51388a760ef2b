#pragma once

#include "compress/interplay/study.h"
#include "core/context.h"

namespace scant {

/// Histograms of one weight before and after, and the pairs that quantize-first swaps, widest
/// first. `layer` is its number, `stream` for stochastic rounding as in the study.
TensorPicture picture_of(ConstMatrixView weight, int64_t layer, const SparsityPattern& pattern,
                         const NumberFormat& format, uint64_t seed, Context& context);

}  // namespace scant
