#include "kernels/matmul/int8_avx512vnni.h"
#include "kernels/matmul/panels_avx512vnni.h"
#include "kernels/matmul/vector_body.h"

namespace scant {

const PackedMatmulRow kPackedMatmulAvx512Vnni =
    PackedMatmulBody<Int8Avx512Vnni, PanelsAvx512Vnni, DecodeAvx512Vbmi2>::row(
        "packed_matmul__avx512vnni");

}  // namespace scant
