#include "ops/quantize/table.h"

#include <utility>

namespace scant {
namespace {

// Best first, the reference last; the first row that accepts wins.
constexpr std::pair<Isa, const QuantizeKernels*> kTable[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, &kQuantizeAvx512},
    {Isa::kAvx2, &kQuantizeAvx2},
#endif
    {Isa::kPortable, &kQuantizeReference},
};

}  // namespace

const QuantizeKernels& select_quantize_kernels(const QuantizeGrid& grid, Isa isa) {
  for (const auto& [needed, kernels] : kTable) {
    if (needed <= isa && kernels->accepts(grid)) return *kernels;
  }
  return kQuantizeReference;
}

}  // namespace scant
