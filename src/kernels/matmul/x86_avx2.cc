#include "kernels/matmul/decode_avx2.h"
#include "kernels/matmul/int8_avx2.h"
#include "kernels/matmul/panels_avx2.h"
#include "kernels/matmul/quantize_inputs_avx2.h"
#include "kernels/matmul/vector_body.h"

namespace scant {

const PackedMatmulRow kPackedMatmulAvx2 = {"packed_matmul__avx2",
                                           {{&kNaturalRecords, VectorRows<Int8Avx2>::bytes},
                                            {&kHalvesRecords, VectorRows<Int8Avx2>::nibbles, true},
                                            {&kQuads4Records, VectorRows<Int8Avx2>::quads4},
                                            {&kQuads8Records, VectorRows<Int8Avx2>::quads8}},
                                           PanelsAvx2::bytes,
                                           PanelsAvx2::nibbles,
                                           PanelsAvx2::quads4,
                                           PanelsAvx2::quads8,
                                           PanelsAvx2::kShiftedBytes,
                                           QuantizeInputsAvx2::run,
                                           DecodeAvx2::scales,
                                           DecodeAvx2::expand_nibbles,
                                           DecodeAvx2::expand_bytes,
                                           DecodeAvx2::split,
                                           DecodeAvx2::join,
                                           DecodeAvx2::replace,
                                           FloatProduct<Int8Avx2>::run};

}  // namespace scant
