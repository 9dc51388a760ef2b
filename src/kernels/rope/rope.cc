#include "kernels/rope/rope.h"

#include <array>

#include "kernels/rope/rows.h"
#include "kernels/select.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<RopeRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512, &kRopeAvx512}, {Isa::kAvx2, &kRopeAvx2},
#endif
      {Isa::kPortable, &kRopeReference},
});

}  // namespace

std::string_view rope_kernel() { return select_kernel(kTable).name; }

void rotate(MatrixView x, int64_t head_dim, ConstMatrixView cosine, ConstMatrixView sine) {
  const RopeRow& kernels = select_kernel(kTable);
  for (int64_t t = 0; t < x.rows; ++t) {
    kernels.rotate(x.row(t), cosine.row(t), sine.row(t), x.cols / head_dim, head_dim);
  }
}

}  // namespace scant
