#if defined(__x86_64__)

#include "ops/simd/avx2.h"
#include "ops/sparsify/n_of_m_vectors.h"

namespace scant {

const NOfMKernels kNOfMAvx2 = {"n_of_m__avx2", NOfMVectors<Avx2>::accepts,
                               NOfMVectors<Avx2>::prune};

}  // namespace scant

#endif
