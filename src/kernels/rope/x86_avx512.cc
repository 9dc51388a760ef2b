#include "kernels/rope/vector_body.h"
#include "kernels/simd/avx512.h"

namespace scant {

const RopeRow kRopeAvx512 = RopeBody<Avx512>::row("rope_f32__avx512");

}  // namespace scant
