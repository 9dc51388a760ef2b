#if defined(__x86_64__)

#include "ops/quantize/quantize_vectors.h"
#include "ops/simd/avx512.h"

namespace scant {

const QuantizeKernels kQuantizeAvx512 = {"quantize__avx512",
                                         QuantizeVectors<Avx512>::accepts,
                                         QuantizeVectors<Avx512>::ranges,
                                         QuantizeVectors<Avx512>::quantize,
                                         QuantizeVectors<Avx512>::squared_error,
                                         QuantizeVectors<Avx512>::round_each};

}  // namespace scant

#endif
