#include "kernels/norm/vector_body.h"
#include "kernels/simd/avx2.h"

namespace scant {

const NormRow kNormAvx2 = NormBody<Avx2>::row("norm_f32__avx2");

}  // namespace scant
