#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compress/interplay/study.h"
#include "evaluate/metric.h"

namespace scant {

// From the cells of a study to thresholds, verdicts and differences (docs/theory.md, "At the level
// of a model"). Pure functions: nothing here depends on how the cells were measured.

/// With fewer windows than this no 95% statement is possible without assuming a distribution: five
/// windows that agree have the probability 2 * 2^-5 = 6%. Intervals are NaN then.
constexpr int64_t kFewestWindows = 6;

/// A figure and its 95% percentile interval. NaN where there is none; NaN bounds count as "within
/// noise" everywhere.
struct Estimate {
  double value = 0;
  Interval interval;

  bool above(double limit) const { return interval.low > limit; }
  bool below(double limit) const { return interval.high < limit; }
  /// The interval excludes 0.
  bool outside_noise() const { return above(0) || below(0); }
};

struct CellEstimates {
  Estimate perplexity, nll;
  Estimate kl;              ///< NaN if the cell has none
  Estimate nll_difference;  ///< to dense, paired; NaN if the dense cell failed
};

/// Threshold, excess over it and compounding ratio in one scale of the metric.
struct Threshold {
  Estimate threshold;             ///< M(dense) + D_S + D_Q
  Estimate excess;                ///< M(S+Q) - threshold
  std::optional<Estimate> ratio;  ///< (M(S+Q) - M(dense)) / (D_S + D_Q), if that is outside noise
};

enum class Verdict : uint8_t { kCompounding, kOrthogonal, kDependsOnScale };
enum class Dominant : uint8_t { kSparsity, kFormat, kNeither };

/// "compounding", "orthogonal", "depends on the scale"; "sparsity", "format", "neither".
std::string_view verdict_name(Verdict verdict);
std::string_view dominant_name(Dominant dominant);

/// A cell with a pattern and a format against the two that have one of them.
struct Combination {
  size_t cell = 0;
  size_t sparsity_cell = 0;  ///< S alone, which never has quantized activations
  size_t format_cell = 0;    ///< Q alone, with the same treatment of activations
  Threshold perplexity, nll;
  Estimate imbalance;  ///< D_S - D_Q in NLL
  Dominant dominant = Dominant::kNeither;
  Verdict verdict = Verdict::kDependsOnScale;
  std::string reason;  ///< "above in both", "above in perplexity, within noise in NLL", ...
};

/// Two orders of one combination, paired: cell minus against_cell.
struct OrderDifference {
  size_t cell = 0;
  size_t against_cell = 0;
  Estimate perplexity, nll;     ///< their signs agree in every resample
  std::optional<Order> better;  ///< nothing where the interval holds 0
};

struct LayerGain {
  Estimate alone;   ///< NLL added to dense by compressing this layer alone
  Estimate exempt;  ///< NLL taken off the full cell by exempting this layer
};

struct StudyAnalysis {
  std::vector<std::optional<CellEstimates>> cells;  ///< of Study::cells; nothing where one failed
  std::vector<Combination> combinations;
  std::vector<OrderDifference> orders;
  std::vector<LayerGain> sensitivity;  ///< of Sensitivity::layers
  int64_t windows = 0;
  /// NLL of every cell in every resample, [0] over every window once; empty where one failed.
  std::vector<std::vector<double>> nll_rounds;
};

/// All cells are resampled with the same draws, bootstrap_draws(windows, round, seed). Throws Error
/// if two cells were measured on different windows.
StudyAnalysis analyze(const Study& study);

/// Mean NLL of `cells` minus that of the cells in `against`, pair by pair. Both lists are as long,
/// not empty, and of cells with a result.
Estimate mean_difference(const StudyAnalysis& analysis, const std::vector<size_t>& cells,
                         const std::vector<size_t>& against);

}  // namespace scant
