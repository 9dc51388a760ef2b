#include "kernels/simd/avx2.h"
#include "kernels/softmax/vector_body.h"

namespace scant {

const SoftmaxRow kSoftmaxAvx2 = SoftmaxBody<Avx2>::row("softmax_f32__avx2");

}  // namespace scant
