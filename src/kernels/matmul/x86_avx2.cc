#include "kernels/matmul/decode_avx2.h"
#include "kernels/matmul/int8_avx2.h"
#include "kernels/matmul/panels_avx2.h"
#include "kernels/matmul/vector_body.h"

namespace scant {

const PackedMatmulRow kPackedMatmulAvx2 =
    PackedMatmulBody<Int8Avx2, PanelsAvx2, DecodeAvx2>::row("packed_matmul__avx2");

}  // namespace scant
