#include "compress/interplay/analysis.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/error.h"

namespace scant {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// A figure in every resample; [0] is the figure itself, over every sample once.
using Rounds = std::vector<double>;

/// The figure and the percentiles of its resamples.
Estimate estimate_of(const Rounds& rounds, int64_t samples) {
  const double value = rounds.front();
  const auto is_nan = [](double x) { return std::isnan(x); };
  if (samples < kFewestWindows || std::any_of(rounds.begin(), rounds.end(), is_nan)) {
    return {value, {kNaN, kNaN}};
  }
  Rounds sorted(rounds.begin() + 1, rounds.end());
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {  // as bootstrap_mean
    return sorted[static_cast<size_t>(
        std::llround(share * static_cast<double>(sorted.size() - 1)))];
  };
  return {value, {at(0.025), at(0.975)}};
}

/// One set of draws for everything that is to be paired.
class Draws {
 public:
  Draws(int64_t samples, uint64_t seed) : samples_(static_cast<size_t>(samples)) {
    rounds_.emplace_back(samples_, 1);
    for (int64_t round = 0; round < kBootstrapRounds; ++round) {
      rounds_.push_back(bootstrap_draws(samples, round, seed));
    }
  }

  Rounds means(const Metric& metric) const {
    if (metric.sums.size() != samples_ || metric.counts.size() != samples_) {
      throw Error(metric.name, "was measured on " + std::to_string(metric.sums.size()) +
                                   " windows, expected " + std::to_string(samples_));
    }
    Rounds means;
    means.reserve(rounds_.size());
    for (const std::vector<int32_t>& draws : rounds_) {
      double sum = 0;
      double count = 0;
      for (size_t i = 0; i < samples_; ++i) {
        sum += draws[i] * metric.sums[i];
        count += draws[i] * metric.counts[i];
      }
      means.push_back(sum / count);
    }
    return means;
  }

  Estimate estimate(const Rounds& rounds) const {
    return estimate_of(rounds, static_cast<int64_t>(samples_));
  }

 private:
  size_t samples_;
  std::vector<std::vector<int32_t>> rounds_;
};

template <typename Figure>
Rounds each_round(const Rounds& like, Figure figure) {
  Rounds result(like.size());
  for (size_t r = 0; r < result.size(); ++r) result[r] = figure(r);
  return result;
}

Rounds exponential(const Rounds& rounds) {
  return each_round(rounds, [&](size_t r) { return std::exp(rounds[r]); });
}

/// a - b, where a difference that is only rounding is none.
double difference(double a, double b) {
  const double result = a - b;
  return std::abs(result) <= 1e-12 * std::max(std::abs(a), std::abs(b)) ? 0.0 : result;
}

Rounds minus(const Rounds& a, const Rounds& b) {
  return each_round(a, [&](size_t r) { return difference(a[r], b[r]); });
}

/// The metric of the four cells that a threshold needs.
struct Corners {
  const Rounds& dense;
  const Rounds& sparsity;
  const Rounds& format;
  const Rounds& both;
};

Threshold threshold_of(const Corners& m, const Draws& draws) {
  const Rounds losses = each_round(m.dense, [&](size_t r) {
    return difference(m.sparsity[r], m.dense[r]) + difference(m.format[r], m.dense[r]);
  });
  const Rounds limit = each_round(m.dense, [&](size_t r) { return m.dense[r] + losses[r]; });
  Threshold result;
  result.threshold = draws.estimate(limit);
  result.excess = draws.estimate(minus(m.both, limit));
  if (draws.estimate(losses).outside_noise()) {
    result.ratio = draws.estimate(each_round(
        m.dense, [&](size_t r) { return difference(m.both[r], m.dense[r]) / losses[r]; }));
  }
  return result;
}

enum class Side : uint8_t { kAbove, kBelow, kAt, kNoise };

Side side_of(const Estimate& excess) {
  if (excess.above(0)) return Side::kAbove;
  if (excess.interval.low == 0 && excess.interval.high == 0) return Side::kAt;
  return excess.interval.high <= 0 ? Side::kBelow : Side::kNoise;
}

std::string side_text(Side side) {
  switch (side) {
    case Side::kAbove:
      return "above";
    case Side::kBelow:
      return "below";
    case Side::kAt:
      return "at the threshold";
    case Side::kNoise:
      break;
  }
  return "within noise";
}

void judge(Combination& combination) {
  const Side perplexity = side_of(combination.perplexity.excess);
  const Side nll = side_of(combination.nll.excess);
  const auto not_above = [](Side side) { return side == Side::kBelow || side == Side::kAt; };
  if (perplexity == Side::kAbove && nll == Side::kAbove) {
    combination.verdict = Verdict::kCompounding;
  } else if (not_above(perplexity) && not_above(nll)) {
    combination.verdict = Verdict::kOrthogonal;
  } else {
    combination.verdict = Verdict::kDependsOnScale;
  }
  if (std::isnan(combination.nll.excess.interval.low)) {
    combination.reason = "no intervals: too few windows, or figures out of range";
  } else if (perplexity == nll) {
    combination.reason = side_text(nll) + " in both";
  } else {
    combination.reason = side_text(perplexity) + " in perplexity, " + side_text(nll) + " in NLL";
  }
}

/// The resampled NLL and perplexity of every cell that has a result.
struct CellRounds {
  Rounds nll, perplexity;
};

class Analyzer {
 public:
  explicit Analyzer(const Study& study)
      : study_(study), draws_(windows_of(study), study.input.seed), rounds_(study.cells.size()) {}

  StudyAnalysis run() {
    for (size_t i = 0; i < study_.cells.size(); ++i) {
      if (!study_.cells[i].failure.empty()) continue;
      rounds_[i].nll = draws_.means(study_.cells[i].nll);
      rounds_[i].perplexity = exponential(rounds_[i].nll);
    }
    for (size_t i = 0; i < study_.cells.size(); ++i) analysis_.cells.push_back(cell(i));
    for (size_t i = 0; i < study_.cells.size(); ++i) combine(i);
    compare(Order::kQuantizeFirst, Order::kSparsifyFirst);
    compare(Order::kJoint, Order::kSparsifyFirst);
    compare(Order::kJoint, Order::kQuantizeFirst);
    sensitivity();
    analysis_.windows = windows_of(study_);
    for (CellRounds& rounds : rounds_) analysis_.nll_rounds.push_back(std::move(rounds.nll));
    return std::move(analysis_);
  }

 private:
  static int64_t windows_of(const Study& study) {
    for (const Cell& cell : study.cells) {
      if (cell.failure.empty()) return static_cast<int64_t>(cell.nll.sums.size());
    }
    return 0;
  }

  bool measured(size_t index) const { return !rounds_[index].nll.empty(); }

  /// The index of the cell with this treatment, if it has a result.
  std::optional<size_t> find(const CellSpec& spec) const {
    for (size_t i = 0; i < study_.cells.size(); ++i) {
      const CellSpec& other = study_.cells[i].spec;
      if (other.sparsity == spec.sparsity && other.format == spec.format &&
          other.order == spec.order && other.activations == spec.activations) {
        return measured(i) ? std::optional(i) : std::nullopt;
      }
    }
    return std::nullopt;
  }

  std::optional<CellEstimates> cell(size_t index) const {
    if (!measured(index)) return std::nullopt;
    const Metric& kl = study_.cells[index].kl;
    const Estimate none{kNaN, {kNaN, kNaN}};
    CellEstimates result;
    result.perplexity = draws_.estimate(rounds_[index].perplexity);
    result.nll = draws_.estimate(rounds_[index].nll);
    result.kl = kl.sums.empty() ? none : draws_.estimate(draws_.means(kl));
    const std::optional<size_t> dense = find({});
    result.nll_difference =
        dense ? draws_.estimate(minus(rounds_[index].nll, rounds_[*dense].nll)) : none;
    if (index == dense && kl.sums.empty()) result.kl = result.nll_difference;  // exactly 0
    return result;
  }

  void combine(size_t index) {
    const CellSpec& spec = study_.cells[index].spec;
    if (!spec.sparsity || !spec.format || !measured(index)) return;
    const auto dense = find({});
    const auto sparsity = find({spec.sparsity, std::nullopt, std::nullopt, false});
    const auto format = find({std::nullopt, spec.format, std::nullopt, spec.activations});
    if (!dense || !sparsity || !format) return;
    const auto& [d, s, q, both] =
        std::tie(rounds_[*dense], rounds_[*sparsity], rounds_[*format], rounds_[index]);
    Combination result;
    result.cell = index;
    result.sparsity_cell = *sparsity;
    result.format_cell = *format;
    result.nll = threshold_of({d.nll, s.nll, q.nll, both.nll}, draws_);
    result.perplexity =
        threshold_of({d.perplexity, s.perplexity, q.perplexity, both.perplexity}, draws_);
    result.imbalance = draws_.estimate(minus(s.nll, q.nll));  // (S - dense) - (Q - dense)
    if (result.imbalance.above(0)) result.dominant = Dominant::kSparsity;
    if (result.imbalance.below(0)) result.dominant = Dominant::kFormat;
    judge(result);
    analysis_.combinations.push_back(std::move(result));
  }

  void compare(Order order, Order against) {
    for (size_t i = 0; i < study_.cells.size(); ++i) {
      CellSpec spec = study_.cells[i].spec;
      if (spec.order != order || !measured(i)) continue;
      spec.order = against;
      const std::optional<size_t> other = find(spec);
      if (!other) continue;
      OrderDifference result;
      result.cell = i;
      result.against_cell = *other;
      result.nll = draws_.estimate(minus(rounds_[i].nll, rounds_[*other].nll));
      result.perplexity = draws_.estimate(minus(rounds_[i].perplexity, rounds_[*other].perplexity));
      if (result.nll.below(0)) result.better = order;
      if (result.nll.above(0)) result.better = against;
      analysis_.orders.push_back(result);
    }
  }

  void sensitivity() {
    if (!study_.sensitivity) return;
    const Sensitivity& ranking = *study_.sensitivity;
    const Draws draws(static_cast<int64_t>(ranking.dense.sums.size()), study_.input.seed);
    const Rounds dense = draws.means(ranking.dense);
    const Rounds full = draws.means(ranking.full);
    for (const LayerSensitivity& layer : ranking.layers) {
      analysis_.sensitivity.push_back({draws.estimate(minus(draws.means(layer.alone), dense)),
                                       draws.estimate(minus(full, draws.means(layer.exempt)))});
    }
  }

  const Study& study_;
  Draws draws_;
  std::vector<CellRounds> rounds_;
  StudyAnalysis analysis_;
};

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kCompounding:
      return "compounding";
    case Verdict::kOrthogonal:
      return "orthogonal";
    case Verdict::kDependsOnScale:
      break;
  }
  return "depends on the scale";
}

std::string_view dominant_name(Dominant dominant) {
  switch (dominant) {
    case Dominant::kSparsity:
      return "sparsity";
    case Dominant::kFormat:
      return "format";
    case Dominant::kNeither:
      break;
  }
  return "neither";
}

StudyAnalysis analyze(const Study& study) { return Analyzer(study).run(); }

Estimate mean_difference(const StudyAnalysis& analysis, const std::vector<size_t>& cells,
                         const std::vector<size_t>& against) {
  Rounds sum(analysis.nll_rounds[cells.front()].size(), 0.0);
  for (size_t i = 0; i < cells.size(); ++i) {
    const Rounds one = minus(analysis.nll_rounds[cells[i]], analysis.nll_rounds[against[i]]);
    for (size_t r = 0; r < sum.size(); ++r) sum[r] += one[r];
  }
  for (double& value : sum) value /= static_cast<double>(cells.size());
  return estimate_of(sum, analysis.windows);
}

}  // namespace scant
