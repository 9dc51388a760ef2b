#include "kernels/activation/vector_body.h"
#include "kernels/simd/avx512.h"

namespace scant {

const ActivationRow kActivationAvx512 = ActivationBody<Avx512>::row("activation_f32__avx512");

}  // namespace scant
