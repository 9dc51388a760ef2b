#include "ops/descent/table.h"

#include <utility>

namespace scant {
namespace {

// Best first, the reference last; the first row that accepts wins.
constexpr std::pair<Isa, const DescentKernels*> kTable[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, &kDescentAvx512},
    {Isa::kAvx2, &kDescentAvx2},
#endif
    {Isa::kPortable, &kDescentReference},
};

}  // namespace

const DescentKernels& select_descent_kernels(const QuantizeGrid& grid, Isa isa) {
  for (const auto& [needed, kernels] : kTable) {
    if (needed <= isa && kernels->accepts(grid)) return *kernels;
  }
  return kDescentReference;
}

}  // namespace scant
