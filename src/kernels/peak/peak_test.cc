#include "kernels/peak/peak.h"

#include "kernels/testing_isa.h"

namespace scant {
namespace {

class PeakKernels : public PerIsa {};

TEST_P(PeakKernels, FindSomePeakWithTheirOwnInstructions) {
  EXPECT_TRUE(is_forced(peak_kernel())) << peak_kernel();
  ThreadPool pool(2);
  const MachinePeak peak = measure_peak(pool, int64_t{8} << 20);
  EXPECT_GT(peak.read_bytes_per_second, 1e6);
  EXPECT_GT(peak.int8_operations_per_second, 1e6);
}

SCANT_FOR_EVERY_ISA(PeakKernels);

}  // namespace
}  // namespace scant
