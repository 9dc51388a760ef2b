#include <algorithm>
#include <cmath>
#include <numeric>

#include "methods/interplay.h"
#include "methods/joint/joint_solver.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

constexpr int kMostRounds = 10;
// A round that gains less than this share of the error is the last one.
constexpr double kLeastGain = 1e-6;

// True if the error falls by more than the rounding of its sums: equal masks must not alternate.
bool falls(double error, double from, double by = 1e-9) { return error < from * (1.0 - by); }

struct Candidate {
  MaskedCodes codes;
  std::vector<double> errors;  ///< weighted, per row or per group of a row
  double error = 0;
};

class GainMask {
 public:
  GainMask(const CompressionProblem& problem, MatrixView values, Context& context)
      : problem_(problem),
        importance_(problem.pruner.importance(problem.statistics)),
        values_(values),
        context_(context) {}

  MaskedCodes solve() {
    Candidate best = evaluate(sparsify_first(problem_, values_, context_));
    improve(best);
    Candidate other = evaluate(quantize_first(problem_, values_, context_));
    const bool is_best_worse = best.error > other.error;
    improve(other);
    if (is_best_worse || falls(other.error, best.error)) best = std::move(other);
    write_values(best.codes);
    return std::move(best.codes);
  }

 private:
  void improve(Candidate& candidate) {
    for (int round = 0; round < kMostRounds; ++round) {
      const double before = candidate.error;
      choose_mask(candidate);
      choose_scales(candidate);
      if (!falls(candidate.error, before, kLeastGain)) return;
    }
  }

  /// Ranks by gain at the candidate's scales.
  void choose_mask(Candidate& candidate) {
    QuantizeOptions options = problem_.options();
    options.scales_from = &candidate.codes.quantized;
    quantize_matrix(problem_.weight, problem_.format, options, context_, values_);
    gains_from_values();
    MaskedCodes next;
    next.mask = problem_.pattern.select({values_, Scores::Kind::kSignedRoot}, context_);
    if (next.mask == candidate.codes.mask) return;
    options.mask = &next.mask;
    next.quantized = quantize_matrix(problem_.weight, problem_.format, options, context_, values_);
    accept(evaluate_pruned(std::move(next)), candidate);
  }

  /// Scales anew for what is kept; a block takes its new scale only if its own error falls.
  void choose_scales(Candidate& candidate) {
    MaskedCodes next{{}, candidate.codes.mask};
    QuantizeOptions options = problem_.options();
    options.mask = &next.mask;
    next.quantized = problem_.quantizer.quantize(problem_.weight, problem_.format, options,
                                                 problem_.statistics, values_, context_);
    Candidate fresh = evaluate_pruned(std::move(next));
    if (are_blocks_separate(fresh.codes.quantized, candidate.codes.quantized)) {
      keep_better_blocks(candidate, fresh);
    }
    accept(std::move(fresh), candidate);
  }

  static void accept(Candidate&& next, Candidate& candidate) {
    if (falls(next.error, candidate.error)) candidate = std::move(next);
  }

  static bool are_blocks_separate(const QuantizedMatrix& a, const QuantizedMatrix& b) {
    return a.blocks_per_row() > 0 && a.tensor_scales == b.tensor_scales &&
           a.super_scales == b.super_scales;
  }

  int64_t block_width() const {
    const Granularity& granularity = problem_.format.granularity;
    return granularity.kind == Granularity::Kind::kGroup ? granularity.size : problem_.weight.cols;
  }

  void keep_better_blocks(const Candidate& old, Candidate& fresh) const {
    const QuantizedMatrix& from = old.codes.quantized;
    QuantizedMatrix& to = fresh.codes.quantized;
    const int64_t per_row = to.blocks_per_row();
    const int64_t width = block_width();
    for (size_t block = 0; block < fresh.errors.size(); ++block) {
      if (falls(fresh.errors[block], old.errors[block])) continue;
      to.scales[block] = from.scales[block];
      if (!to.zero_points.empty()) to.zero_points[block] = from.zero_points[block];
      if (!to.offsets.empty()) to.offsets[block] = from.offsets[block];
      const auto index = static_cast<int64_t>(block);
      const int64_t begin = index % per_row * width;
      const int64_t at = index / per_row * to.cols + begin;
      std::copy_n(from.codes.begin() + at, std::min(width, to.cols - begin), to.codes.begin() + at);
      fresh.errors[block] = old.errors[block];
    }
    fresh.error = std::accumulate(fresh.errors.begin(), fresh.errors.end(), 0.0);
  }

  /// Codes for the pruned values may stand in the matrix of values where there is none for zero.
  Candidate evaluate_pruned(MaskedCodes&& codes) {
    if (!problem_.format.rules().has_zero) prune_values(values_, codes.mask, context_);
    return evaluate(std::move(codes));
  }

  void write_values(const MaskedCodes& codes) {
    dequantize(codes.quantized, values_);
    prune_values(values_, codes.mask, context_);
  }

  /// The errors of what stands in the matrix of values.
  Candidate evaluate(MaskedCodes&& codes) {
    const ConstMatrixView weight = problem_.weight;
    const int64_t width = std::max<int64_t>(1, block_width());
    const int64_t per_row = (weight.cols + width - 1) / width;
    Candidate result{std::move(codes), {}, 0};
    result.errors.resize(static_cast<size_t>(weight.rows * per_row));
    const RowPieces pieces(weight.rows, weight.cols);
    context_.threads.parallel_for(pieces.count(), [&](int64_t piece) {
      for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
        for (int64_t block = 0; block < per_row; ++block) {
          result.errors[static_cast<size_t>(r * per_row + block)] =
              error_of(r, block * width, std::min(weight.cols, (block + 1) * width));
        }
      }
    });
    result.error = std::accumulate(result.errors.begin(), result.errors.end(), 0.0);
    return result;
  }

  double error_of(int64_t r, int64_t begin, int64_t end) const {
    const float* w = problem_.weight.row(r);
    const float* v = values_.row(r);
    double sum = 0;
    for (int64_t c = begin; c < end; ++c) {
      const double error = static_cast<double>(v[c]) - w[c];
      sum += importance_at(c) * error * error;
    }
    return sum;
  }

  double importance_at(int64_t c) const {
    return importance_.empty() ? 1.0 : importance_[static_cast<size_t>(c)];
  }

  /// Values become signed roots of h b: of the size of a weight, so that no
  /// square underflows.
  void gains_from_values() {
    const ConstMatrixView weight = problem_.weight;
    const RowPieces pieces(weight.rows, weight.cols);
    context_.threads.parallel_for(pieces.count(), [&](int64_t piece) {
      for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
        const float* w = weight.row(r);
        float* v = values_.row(r);
        for (int64_t c = 0; c < weight.cols; ++c) {
          const double weighted = importance_at(c) * gain(w[c], v[c]);
          v[c] = static_cast<float>(std::copysign(std::sqrt(std::fabs(weighted)), weighted));
        }
      }
    });
  }

  const CompressionProblem& problem_;
  std::vector<float> importance_;
  MatrixView values_;
  Context& context_;
};

MaskedCodes solve_by_gain(const CompressionProblem& problem, MatrixView values, Context& context) {
  return GainMask(problem, values, context).solve();
}

}  // namespace

JointSolver gain_mask_solver() {
  return {"gain_mask", "keeps the weights whose codes gain most, mask and scales in turn", false,
          false, solve_by_gain};
}

}  // namespace scant
