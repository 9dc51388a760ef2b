#pragma once

#include "core/tensor.h"
#include "formats/block_codec.h"

namespace scant {

/// Of `count` candidates (`:mse`; 1: no search) the stored scale of least error, the earlier one on
/// a tie. candidate(i) gives a stored scale; error(effective scale) is only called for a search.
template <typename CandidateOf, typename ErrorOf>
BlockScale least_error_scale(int count, float second, const CandidateOf& candidate,
                             const ErrorOf& error) {
  BlockScale best = candidate(0);
  if (count == 1) return best;
  double least = error(effective_scale(best, second));
  for (int i = 1; i < count; ++i) {
    const BlockScale next = candidate(i);
    if (next.scale == best.scale && next.zero_point == best.zero_point) continue;
    const double squared = error(effective_scale(next, second));
    if (squared < least) {
      least = squared;
      best = next;
    }
  }
  return best;
}

/// The same for a block of which `statistics` are known; `search` for `:mse`.
template <ElementScaledByStatistics T, typename ErrorOf>
BlockScale best_scale(const BlockCodec<T>& codec, bool search, const BlockStatistics& statistics,
                      float second, const ErrorOf& error) {
  return least_error_scale(
      search ? codec.candidates() : 1, second,
      [&](int i) { return codec.stored_scale(statistics, second, i); }, error);
}

/// What quantize() would choose for one block of which `statistics` are known in full and `values`
/// are a sample, over which `:mse` searches. For formats of activations; of NVFP4 the tensor scale.
BlockScale choose_scale(const NumberFormat& format, const BlockStatistics& statistics,
                        ConstMatrixView values = {});

}  // namespace scant
