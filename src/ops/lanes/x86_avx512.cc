#if defined(__x86_64__)

#include "ops/lanes/lanes_vectors.h"
#include "ops/simd/avx512.h"

namespace scant {

const LanesKernels kLanesAvx512 = {"lanes__avx512", LanesVectors<Avx512>::add_products,
                                   LanesVectors<Avx512>::keep_largest,
                                   LanesVectors<Avx512>::finish_column};

}  // namespace scant

#endif
