#include "kernels/activation/activation.h"

#include <array>

#include "kernels/select.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<ActivationRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512, &kActivationAvx512}, {Isa::kAvx2, &kActivationAvx2},
#endif
      {Isa::kPortable, &kActivationReference},
});

}  // namespace

std::string_view activation_kernel() { return select_kernel(kTable).name; }

void activate(Activation kind, MatrixView x) {
  const ActivationRow& kernels = select_kernel(kTable);
  for (int64_t r = 0; r < x.rows; ++r) kernels.apply(kind, x.row(r), x.cols);
}

void activate_gated(Activation kind, MatrixView gate, ConstMatrixView up) {
  const ActivationRow& kernels = select_kernel(kTable);
  for (int64_t r = 0; r < gate.rows; ++r) {
    kernels.apply_gated(kind, gate.row(r), up.row(r), gate.cols);
  }
}

}  // namespace scant
