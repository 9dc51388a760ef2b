#include "kernels/attention/vector_body.h"
#include "kernels/simd/avx2.h"

namespace scant {

const AttentionRow kAttentionAvx2 = AttentionBody<Avx2>::row("attention_f32_causal__avx2");

}  // namespace scant
