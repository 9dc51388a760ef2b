#pragma once

#include "core/tensor.h"
#include "formats/block_codec.h"

namespace scant {

/// The stored scale of a block: the plain one or, with `search` (`:mse`), the candidate of least
/// error, the earlier one on a tie. error(effective scale) is only called for the search.
template <CodedElement T, typename ErrorOf>
BlockScale best_scale(const BlockCodec<T>& codec, bool search, const BlockStatistics& statistics,
                      float second, const ErrorOf& error) {
  BlockScale best = codec.stored_scale(statistics, second, 0);
  if (!search) return best;
  double least = error(effective_scale(best, second));
  for (int i = 1; i < codec.candidates(); ++i) {
    const BlockScale candidate = codec.stored_scale(statistics, second, i);
    if (candidate.scale == best.scale && candidate.zero_point == best.zero_point) continue;
    const double squared = error(effective_scale(candidate, second));
    if (squared < least) {
      least = squared;
      best = candidate;
    }
  }
  return best;
}

/// What quantize() would choose for one block of which `statistics` are known in full and `values`
/// are a sample, over which `:mse` searches. For formats with codes and one level of scales.
BlockScale choose_scale(const NumberFormat& format, const BlockStatistics& statistics,
                        ConstMatrixView values = {});

}  // namespace scant
