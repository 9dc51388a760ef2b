#include "kernels/norm/vector_body.h"
#include "kernels/simd/avx512.h"

namespace scant {

const NormRow kNormAvx512 = NormBody<Avx512>::row("norm_f32__avx512");

}  // namespace scant
