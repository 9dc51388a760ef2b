#include "kernels/cached_attention/vector_body.h"
#include "kernels/simd/avx2.h"

namespace scant {

const CachedAttentionRow kCachedAttentionAvx2 =
    CachedAttentionBody<Avx2>::row("attention_cached__avx2");

}  // namespace scant
