#if defined(__x86_64__)

#include "ops/descent/descent_vectors.h"
#include "ops/simd/avx2.h"

namespace scant {

const DescentKernels kDescentAvx2 = {"descent__avx2", DescentVectors<Avx2>::accepts,
                                     DescentVectors<Avx2>::choose_values,
                                     DescentVectors<Avx2>::price, DescentVectors<Avx2>::add_rows};

}  // namespace scant

#endif
