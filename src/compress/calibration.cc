#include "compress/calibration.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "core/error.h"
#include "core/hash.h"
#include "core/random.h"

namespace scant {

std::string fingerprint_of_windows(const Calibration& calibration) {
  Hasher hasher;
  for (const auto& window : calibration.windows) {
    hasher.add(std::to_string(window.size())).add(std::as_bytes(std::span(window)));
  }
  return hasher.hex();
}

std::vector<std::vector<int32_t>> draw_windows(const std::vector<int32_t>& ids, int64_t samples,
                                               int64_t window, uint64_t seed,
                                               const std::string& source) {
  const int64_t available = static_cast<int64_t>(ids.size()) / window;
  if (available == 0) {
    throw Error(source, "has " + std::to_string(ids.size()) + " tokens, fewer than one window of " +
                            std::to_string(window) + "; use a longer text or a smaller --window");
  }
  const int64_t count = std::min(samples, available);
  std::vector<int64_t> numbers(static_cast<size_t>(available));
  std::iota(numbers.begin(), numbers.end(), 0);
  const CounterRandom random(seed, hash_text("calibration", 11));
  for (int64_t i = 0; i < count; ++i) {  // the first steps of a shuffle
    const auto left = static_cast<uint32_t>(available - i);
    const int64_t chosen = i + random.below(static_cast<uint64_t>(i), left);
    std::swap(numbers[static_cast<size_t>(i)], numbers[static_cast<size_t>(chosen)]);
  }
  numbers.resize(static_cast<size_t>(count));
  std::ranges::sort(numbers);
  std::vector<std::vector<int32_t>> windows;
  for (const int64_t number : numbers) {
    const auto begin = ids.begin() + number * window;
    windows.emplace_back(begin, begin + window);
  }
  return windows;
}

}  // namespace scant
