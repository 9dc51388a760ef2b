#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/tensor.h"
#include "core/threads.h"
#include "kernels/attention/attention.h"
#include "kernels/cached_attention/kv_page.h"

namespace scant {

/// Keys and values of one attention layer at positions 0 ... `positions` - 1, page by page.
struct KvPages {
  KvPageLayout layout;
  std::span<std::byte* const> pages;  ///< (positions + kKvPage - 1) / kKvPage at least
  int64_t positions = 0;
};

/// Causal attention of one or few queries over cached keys and values, exact softmax: row t of `q`
/// and `out`, tokens x heads * head_dim, stands at position positions - tokens + t; its own key is
/// in the cache already. Stored types are read as they are. Work is cut by heads and pages, and the
/// pages' sums are added in order: the result does not depend on the number of threads; null
/// `threads`: the caller's alone. `scratch` holds cached_attention_scratch_size floats. `out` may
/// be `q`.
void cached_attention(const AttentionShape& shape, const KvPages& cache, ConstMatrixView q,
                      MatrixView out, std::span<float> scratch, ThreadPool* threads = nullptr);

int64_t cached_attention_scratch_size(const AttentionShape& shape, int64_t tokens,
                                      int64_t positions);

/// The row of the kernel table that runs now, for messages and tests.
std::string_view cached_attention_kernel();

}  // namespace scant
