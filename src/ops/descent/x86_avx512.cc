#if defined(__x86_64__)

#include "ops/descent/descent_vectors.h"
#include "ops/simd/avx512.h"

namespace scant {

const DescentKernels kDescentAvx512 = {
    "descent__avx512", DescentVectors<Avx512>::accepts, DescentVectors<Avx512>::choose_values,
    DescentVectors<Avx512>::price, DescentVectors<Avx512>::add_rows};

}  // namespace scant

#endif
