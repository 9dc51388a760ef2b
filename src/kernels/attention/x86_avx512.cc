#include "kernels/attention/vector_body.h"
#include "kernels/simd/avx512.h"

namespace scant {

const AttentionRow kAttentionAvx512 = AttentionBody<Avx512>::row("attention_f32_causal__avx512");

}  // namespace scant
