#include "kernels/matmul/decode_avx512vbmi2.h"
#include "kernels/matmul/masked_avx512vnni.h"
#include "kernels/matmul/panels_avx512vnni.h"
#include "kernels/matmul/pieces_avx512vnni.h"
#include "kernels/matmul/quantize_inputs_avx2.h"
#include "kernels/matmul/steps_avx512vnni.h"
#include "kernels/matmul/vector_body.h"

namespace scant {
namespace {

template <typename Step>
void few(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
  all_tokens<Int8Avx512Vnni, Step>(w, x, y);
}

void few_nibbles(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
  w.two_complement ? few<NibbleStep<Int8Avx512Vnni, NibbleValues::kTwoComplement>>(w, x, y)
                   : few<NibbleStep<Int8Avx512Vnni, NibbleValues::kTable>>(w, x, y);
}

void few_quads4(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
  w.two_complement ? few<WideQuad4Step<NibbleValues::kTwoComplement>>(w, x, y)
                   : few<WideQuad4Step<NibbleValues::kTable>>(w, x, y);
}

template <NibbleValues kValues>
using MaskedNibbleStep = LargerColumnsStep<MaskedCodes<MaskedNibbles<kValues>>>;

void few_masked_nibbles(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
  w.two_complement ? few<MaskedNibbleStep<NibbleValues::kTwoComplement>>(w, x, y)
                   : few<MaskedNibbleStep<NibbleValues::kTable>>(w, x, y);
}

void few_pieces(const WeightRows& w, const Int8Records& x, Outputs y) noexcept {
  switch (w.code_bits) {
    case 2:
      return few<LargerColumnsStep<PieceCodes<2>>>(w, x, y);
    case 3:
      return few<LargerColumnsStep<PieceCodes<3>>>(w, x, y);
    case 5:
      return few<LargerColumnsStep<PieceCodes<5>>>(w, x, y);
    default:
      return few<LargerColumnsStep<PieceCodes<6>>>(w, x, y);
  }
}

}  // namespace

const PackedMatmulRow kPackedMatmulAvx512Vnni = {"packed_matmul__avx512vnni",
                                                 {{&kWideShiftedRecords, few<WideByteStep>},
                                                  {&kWideHalvesRecords, few_nibbles, true},
                                                  {&kWideQuads4Records, few_quads4},
                                                  {&kWideQuads8Records, few<WideQuad8Step>},
                                                  {&kWideShiftedRecords, few<MaskedByteStep>},
                                                  {&kWideNaturalRecords, few_masked_nibbles, true},
                                                  {&kWideNaturalRecords, few_pieces, true}},
                                                 PanelsAvx512Vnni::bytes,
                                                 PanelsAvx512Vnni::nibbles,
                                                 PanelsAvx512Vnni::quads4,
                                                 PanelsAvx512Vnni::quads8,
                                                 PanelsAvx512Vnni::kShiftedBytes,
                                                 QuantizeInputsAvx2::run,
                                                 DecodeAvx512Vbmi2::scales,
                                                 DecodeAvx512Vbmi2::expand_nibbles,
                                                 DecodeAvx512Vbmi2::expand_bytes,
                                                 DecodeAvx2::split,
                                                 DecodeAvx2::join,
                                                 DecodeAvx2::replace,
                                                 FloatProduct<Int8Avx2>::run};

}  // namespace scant
