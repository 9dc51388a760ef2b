#include "kernels/norm/norm.h"

#include <array>

#include "kernels/norm/rows.h"
#include "kernels/select.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<NormRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512, &kNormAvx512}, {Isa::kAvx2, &kNormAvx2},
#endif
      {Isa::kPortable, &kNormReference},
});

}  // namespace

std::string_view norm_kernel() { return select_kernel(kTable).name; }

void rms_norm(ConstMatrixView x, std::span<const float> weight, float epsilon, MatrixView y) {
  const NormRow& kernels = select_kernel(kTable);
  for (int64_t r = 0; r < x.rows; ++r) {
    kernels.rms(x.row(r), weight.data(), epsilon, x.cols, y.row(r));
  }
}

void layer_norm(ConstMatrixView x, std::span<const float> weight, std::span<const float> bias,
                float epsilon, MatrixView y) {
  const NormRow& kernels = select_kernel(kTable);
  const float* w = weight.empty() ? nullptr : weight.data();
  const float* b = bias.empty() ? nullptr : bias.data();
  for (int64_t r = 0; r < x.rows; ++r) kernels.layer(x.row(r), w, b, epsilon, x.cols, y.row(r));
}

}  // namespace scant
