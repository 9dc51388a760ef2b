#include "kernels/cached_attention/vector_body.h"
#include "kernels/simd/avx512.h"

namespace scant {

const CachedAttentionRow kCachedAttentionAvx512 =
    CachedAttentionBody<Avx512>::row("attention_cached__avx512");

}  // namespace scant
