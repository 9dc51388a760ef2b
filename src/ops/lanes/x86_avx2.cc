#if defined(__x86_64__)

#include "ops/lanes/lanes_vectors.h"
#include "ops/simd/avx2.h"

namespace scant {

const LanesKernels kLanesAvx2 = {"lanes__avx2", LanesVectors<Avx2>::add_products,
                                 LanesVectors<Avx2>::keep_largest,
                                 LanesVectors<Avx2>::finish_column};

}  // namespace scant

#endif
