#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace scant {

enum class Better : uint8_t { kLower, kHigher };

/// One figure with what it was averaged from, so that intervals and paired differences can be made.
struct Metric {
  std::string name;  ///< "perplexity"
  double value = 0;
  Better better = Better::kLower;
  std::vector<double> per_sample;  ///< one entry per window
};

struct Interval {
  double low = 0;
  double high = 0;
};

}  // namespace scant
