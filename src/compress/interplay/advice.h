#pragma once

#include <string>
#include <utility>
#include <vector>

#include "compress/interplay/analysis.h"

namespace scant {

/// One or two plain sentences and the figures that they rest on.
struct Advice {
  std::string text;
  std::vector<std::pair<std::string, double>> figures;  ///< what the number is, number
};

constexpr size_t kMostAdvice = 8;

/// NLL that a format may add to a pattern and still be "tolerated": 1% of perplexity.
constexpr double kToleratedLoss = 0.01;

/// What the figures of a study say, the most useful first, at most kMostAdvice. A difference is
/// claimed only where its paired 95% interval excludes 0; where it does not, "no difference outside
/// noise" is what is said. A study whose cells all failed has none.
std::vector<Advice> advise(const Study& study, const StudyAnalysis& analysis);

}  // namespace scant
