#include "kernels/simd/avx512.h"
#include "kernels/softmax/vector_body.h"

namespace scant {

const SoftmaxRow kSoftmaxAvx512 = SoftmaxBody<Avx512>::row("softmax_f32__avx512");

}  // namespace scant
