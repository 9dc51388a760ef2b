#include "ops/lanes/table.h"

#include <utility>

namespace scant {
namespace {

// Best first.
constexpr std::pair<Isa, const LanesKernels*> kTable[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, &kLanesAvx512},
    {Isa::kAvx2, &kLanesAvx2},
#endif
    {Isa::kPortable, &kLanesReference},
};

}  // namespace

const LanesKernels& select_lanes_kernels(Isa isa) {
  for (const auto& [needed, kernels] : kTable) {
    if (needed <= isa) return *kernels;
  }
  return kLanesReference;
}

}  // namespace scant
