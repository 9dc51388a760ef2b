#include "kernels/peak/peak.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "core/stopwatch.h"
#include "core/tensor.h"
#include "kernels/peak/rows.h"
#include "kernels/select.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<PeakRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512, &kPeakAvx512}, {Isa::kAvx2, &kPeakAvx2},
#endif
      {Isa::kPortable, &kPeakReference},
});

constexpr int kRuns = 5;

/// The shortest of several runs of `work` on every thread.
template <typename Work>
double best_seconds(ThreadPool& threads, int64_t pieces, const Work& work) {
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const Stopwatch watch;
    threads.parallel_for(pieces, work);
    const double seconds = watch.seconds();
    best = run == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

std::string_view peak_kernel() { return select_kernel(kTable).name; }

MachinePeak measure_peak(ThreadPool& threads, int64_t bytes) {
  const PeakRow& row = select_kernel(kTable);
  constexpr int64_t kPiece = int64_t{1} << 20;
  const int64_t pieces = std::max<int64_t>(1, bytes / kPiece);
  const Buffer memory(static_cast<size_t>(pieces * kPiece));
  std::memset(memory.data(), 1, memory.bytes());  // pages that are really there
  std::atomic<uint64_t> sum = 0;
  MachinePeak peak;
  const double reading = best_seconds(threads, pieces, [&](int64_t piece) {
    const auto* words = reinterpret_cast<const uint64_t*>(memory.data() + piece * kPiece);
    sum += row.read(words, kPiece / 8);
  });
  peak.read_bytes_per_second = static_cast<double>(pieces * kPiece) / reading;
  constexpr int64_t kRounds = 1 << 18;
  const int64_t workers = threads.size();
  const double multiplying = best_seconds(
      threads, workers, [&](int64_t) { sum += static_cast<uint64_t>(row.multiply(kRounds)); });
  peak.int8_operations_per_second =
      static_cast<double>(workers * kRounds * row.operations) / multiplying;
  return peak;
}

}  // namespace scant
