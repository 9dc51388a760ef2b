#include "formats/patterns/unstructured.h"

#include <array>
#include <numeric>

namespace scant {
namespace {

// Below this a copy for nth_element is cheaper than the histograms.
constexpr int64_t kSmallTensor = 1 << 15;
constexpr size_t kBuckets = 1 << 16;

// The threshold of a large tensor without a copy of it: one histogram of the keys' upper halves,
// one of the lower halves in the bucket found. Histograms are per piece, and the last ones say how
// many ties each piece holds.
class TensorThreshold {
 public:
  TensorThreshold(const Scores& scores, int64_t pieces, Context& context)
      : scores_(scores), pieces_(pieces), context_(context) {}

  int64_t begin(int64_t piece) const { return scores_.values.rows * piece / pieces_; }

  /// The threshold of every piece: one key, and the ties that the piece gives up.
  std::vector<PruneThreshold> find(int64_t pruned) {
    int64_t left = pruned;
    const uint32_t upper = bucket_of(
        left, [](uint32_t) { return true; }, 16);
    const uint32_t lower = bucket_of(
        left, [upper](uint32_t key) { return key >> 16 == upper; }, 0);
    std::vector<PruneThreshold> thresholds;
    for (const auto& histogram : histograms_) {
      const int64_t ties = std::min<int64_t>(left, histogram[lower]);
      thresholds.push_back({upper << 16 | lower, ties});
      left -= ties;
    }
    return thresholds;
  }

 private:
  /// The bucket that holds the `left`-th smallest of the keys that `belongs` accepts; takes the
  /// buckets before it off `left`.
  template <typename Belongs>
  uint32_t bucket_of(int64_t& left, Belongs belongs, int shift) {
    histograms_.assign(static_cast<size_t>(pieces_), std::vector<uint32_t>(kBuckets, 0));
    context_.threads.parallel_for(pieces_, [&](int64_t piece) {
      auto& histogram = histograms_[static_cast<size_t>(piece)];
      for (int64_t r = begin(piece); r < begin(piece + 1); ++r) {
        for (const float value : scores_.values.row_span(r)) {
          const uint32_t key = scores_.key(value);
          if (belongs(key)) ++histogram[key >> shift & 0xffff];
        }
      }
    });
    for (uint32_t bucket = 0;; ++bucket) {
      int64_t total = 0;
      for (const auto& histogram : histograms_) total += histogram[bucket];
      if (total >= left) return bucket;
      left -= total;
    }
  }

  const Scores& scores_;
  int64_t pieces_;
  Context& context_;
  std::vector<std::vector<uint32_t>> histograms_;
};

void select_in_rows(const Scores& scores, int64_t pruned, Context& context, Mask& mask) {
  const ConstMatrixView& values = scores.values;
  const RowPieces pieces(values.rows, values.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    std::vector<uint32_t> keys(static_cast<size_t>(values.cols));
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      score_keys(scores, values.row(r), values.cols, keys.data());
      PruneThreshold threshold = prune_threshold(keys, pruned);
      keep_above(scores, values.row_span(r), threshold, mask.row(r));
    }
  });
}

void select_in_tensor(const Scores& scores, int64_t pruned, Context& context, Mask& mask) {
  const ConstMatrixView& values = scores.values;
  if (values.size() <= kSmallTensor) {
    std::vector<uint32_t> keys(static_cast<size_t>(values.size()));
    for (int64_t r = 0; r < values.rows; ++r) {
      score_keys(scores, values.row(r), values.cols, keys.data() + r * values.cols);
    }
    PruneThreshold threshold = prune_threshold(keys, pruned);
    for (int64_t r = 0; r < values.rows; ++r) {
      keep_above(scores, values.row_span(r), threshold, mask.row(r));
    }
    return;
  }
  const int64_t pieces = std::min<int64_t>(16, values.rows);
  TensorThreshold tensor(scores, pieces, context);
  std::vector<PruneThreshold> thresholds = tensor.find(pruned);
  context.threads.parallel_for(pieces, [&](int64_t piece) {
    PruneThreshold& threshold = thresholds[static_cast<size_t>(piece)];
    for (int64_t r = tensor.begin(piece); r < tensor.begin(piece + 1); ++r) {
      keep_above(scores, values.row_span(r), threshold, mask.row(r));
    }
  });
}

}  // namespace

std::vector<UnstructuredPattern> UnstructuredPattern::examples() {
  return {{Percent{50'000'000}, false}, {Percent{50'000'000}, true}, {Percent{62'500'000}, false}};
}

std::optional<UnstructuredPattern> UnstructuredPattern::parse(const PatternSpelling& spelling) {
  if (!spelling.is_percentage()) return std::nullopt;
  if (spelling.option && *spelling.option != "row") return std::nullopt;
  return UnstructuredPattern{Percent::parse(spelling), spelling.option.has_value()};
}

std::string UnstructuredPattern::spelling() const {
  return percent.text() + (per_row ? ":row" : "");
}

Mask UnstructuredPattern::select(const Scores& scores, Context& context) const {
  const ConstMatrixView& values = scores.values;
  return select_count(scores, percent.of(per_row ? values.cols : values.size()), context);
}

std::optional<Mask> UnstructuredPattern::select_columns(const Scores& scores, int64_t begin,
                                                        int64_t, Context& context) const {
  const int64_t rows = per_row ? 1 : scores.values.rows;
  const int64_t end = begin + scores.values.cols;
  return select_count(scores, percent.of(rows * end) - percent.of(rows * begin), context);
}

Mask UnstructuredPattern::select_count(const Scores& scores, int64_t pruned,
                                       Context& context) const {
  const ConstMatrixView& values = scores.values;
  Mask mask = Mask::all(values.rows, values.cols);
  if (pruned == 0) return mask;
  if (per_row) {
    select_in_rows(scores, pruned, context, mask);
  } else {
    select_in_tensor(scores, pruned, context, mask);
  }
  return mask;
}

bool UnstructuredPattern::allows(const Mask& mask) const {
  if (!per_row) return mask.kept() <= most_kept(mask.rows, mask.cols);
  for (int64_t r = 0; r < mask.rows; ++r) {
    if (std::accumulate(mask.row(r), mask.row(r) + mask.cols, int64_t{0}) > most_kept(1, mask.cols))
      return false;
  }
  return true;
}

int64_t UnstructuredPattern::most_kept(int64_t rows, int64_t cols) const {
  if (per_row) return rows * (cols - percent.of(cols));
  return rows * cols - percent.of(rows * cols);
}

}  // namespace scant
