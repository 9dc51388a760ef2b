#pragma once

#include "compress/interplay/study.h"
#include "core/context.h"

namespace scant {

/// Histograms of one weight before and after, and the pairs that quantize-first swaps, widest
/// first. `info` is the weight's layer, `number` its place in the study.
TensorPicture picture_of(ConstMatrixView weight, const LinearInfo& info, int64_t number,
                         const SparsityPattern& pattern, const NumberFormat& format, uint64_t seed,
                         Context& context);

}  // namespace scant
