#if defined(__x86_64__)

#include "ops/quantize/quantize_vectors.h"
#include "ops/simd/avx2.h"

namespace scant {

const QuantizeKernels kQuantizeAvx2 = {"quantize__avx2",
                                       QuantizeVectors<Avx2>::accepts,
                                       QuantizeVectors<Avx2>::ranges,
                                       QuantizeVectors<Avx2>::quantize,
                                       QuantizeVectors<Avx2>::squared_error,
                                       QuantizeVectors<Avx2>::round_each};

}  // namespace scant

#endif
