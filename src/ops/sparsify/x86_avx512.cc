#if defined(__x86_64__)

#include "ops/simd/avx512.h"
#include "ops/sparsify/n_of_m_vectors.h"

namespace scant {

const NOfMKernels kNOfMAvx512 = {"n_of_m__avx512", NOfMVectors<Avx512>::accepts,
                                 NOfMVectors<Avx512>::prune};

}  // namespace scant

#endif
