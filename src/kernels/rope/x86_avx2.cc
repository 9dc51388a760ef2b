#include "kernels/rope/vector_body.h"
#include "kernels/simd/avx2.h"

namespace scant {

const RopeRow kRopeAvx2 = RopeBody<Avx2>::row("rope_f32__avx2");

}  // namespace scant
