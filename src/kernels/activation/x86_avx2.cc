#include "kernels/activation/vector_body.h"
#include "kernels/simd/avx2.h"

namespace scant {

const ActivationRow kActivationAvx2 = ActivationBody<Avx2>::row("activation_f32__avx2");

}  // namespace scant
