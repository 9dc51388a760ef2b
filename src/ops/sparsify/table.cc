#include "ops/sparsify/table.h"

#include <utility>

namespace scant {
namespace {

// Best first, the reference last; the first row that accepts wins.
constexpr std::pair<Isa, const NOfMKernels*> kTable[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, &kNOfMAvx512},
    {Isa::kAvx2, &kNOfMAvx2},
#endif
    {Isa::kPortable, &kNOfMReference},
};

}  // namespace

const NOfMKernels& select_n_of_m_kernels(int64_t n, int64_t m, Isa isa) {
  for (const auto& [needed, kernels] : kTable) {
    if (needed <= isa && kernels->accepts(n, m)) return *kernels;
  }
  return kNOfMReference;
}

}  // namespace scant
