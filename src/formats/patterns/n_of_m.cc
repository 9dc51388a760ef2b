#include "formats/patterns/n_of_m.h"

#include <array>
#include <numeric>

#include "formats/spelling.h"

namespace scant {
namespace {

// Up to here counting who beats whom is faster than a partial sort.
constexpr int64_t kCountedGroup = 32;

// Keeps those that beat more than 3 - n of the others. On equal keys the higher index wins.
void keep_of_four(const uint32_t* keys, int64_t n, uint8_t* keep) {
  const int b01 = keys[0] > keys[1], b02 = keys[0] > keys[2], b03 = keys[0] > keys[3];
  const int b12 = keys[1] > keys[2], b13 = keys[1] > keys[3], b23 = keys[2] > keys[3];
  const int needed = static_cast<int>(4 - n);
  keep[0] = b01 + b02 + b03 >= needed;
  keep[1] = 1 - b01 + b12 + b13 >= needed;
  keep[2] = 2 - b02 - b12 + b23 >= needed;
  keep[3] = 3 - b03 - b13 - b23 >= needed;
}

void keep_by_counting(const uint32_t* keys, int64_t count, int64_t n, uint8_t* keep) {
  for (int64_t i = 0; i < count; ++i) {
    int64_t better = 0;
    for (int64_t j = 0; j < i; ++j) better += keys[j] > keys[i];
    for (int64_t j = i + 1; j < count; ++j) better += keys[j] >= keys[i];
    keep[i] = better < n;
  }
}

void keep_by_threshold(const uint32_t* keys, int64_t count, int64_t n, uint8_t* keep) {
  std::array<uint32_t, NOfMPattern::kLargestGroup> copy;
  std::copy_n(keys, count, copy.begin());
  PruneThreshold threshold =
      prune_threshold(std::span(copy).first(static_cast<size_t>(count)), count - n);
  for (int64_t i = 0; i < count; ++i) {
    keep[i] = keys[i] > threshold.key || (keys[i] == threshold.key && threshold.ties-- <= 0);
  }
}

}  // namespace

void keep_largest(const uint32_t* keys, int64_t count, int64_t n, uint8_t* keep) {
  if (count <= n) {
    std::fill_n(keep, count, uint8_t{1});
  } else if (count == 4) {
    keep_of_four(keys, n, keep);
  } else if (count <= kCountedGroup) {
    keep_by_counting(keys, count, n, keep);
  } else {
    keep_by_threshold(keys, count, n, keep);
  }
}

std::vector<NOfMPattern> NOfMPattern::examples() {
  return {{2, 4}, {1, 4}, {4, 8}, {8, 16}, {3, 7}};
}

std::optional<NOfMPattern> NOfMPattern::parse(const PatternSpelling& spelling) {
  if (spelling.is_percentage() || !spelling.option) return std::nullopt;
  const auto n = parse_decimal(spelling.head, kLargestGroup);
  const auto m = parse_decimal(*spelling.option, kLargestGroup);
  if (!n && !m) return std::nullopt;
  if (!n || !m) {
    spelling.refuse(n ? *spelling.option : spelling.head,
                    "is not a count of at most " + std::to_string(kLargestGroup) +
                        "; N:M keeps N of every M values, such as 2:4");
  }
  if (*n < 1 || *n >= *m) {
    spelling.refuse(spelling.text, "keeps N of every M values and needs 1 <= N < M");
  }
  return NOfMPattern{*n, *m};
}

std::string NOfMPattern::spelling() const { return std::to_string(n) + ":" + std::to_string(m); }

std::optional<Mask> NOfMPattern::select_columns(const Scores& scores, int64_t begin, int64_t total,
                                                Context& context) const {
  const int64_t end = begin + scores.values.cols;
  if (begin % m != 0 || (end % m != 0 && end != total)) return std::nullopt;
  return select(scores, context);
}

Mask NOfMPattern::select(const Scores& scores, Context& context) const {
  const ConstMatrixView& values = scores.values;
  Mask mask = Mask::all(values.rows, values.cols);
  const RowPieces pieces(values.rows, values.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    std::vector<uint32_t> keys(static_cast<size_t>(values.cols));
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      score_keys(scores, values.row(r), values.cols, keys.data());
      for (int64_t c = 0; c < values.cols; c += m) {
        keep_largest(keys.data() + c, std::min(m, values.cols - c), n, mask.row(r) + c);
      }
    }
  });
  return mask;
}

bool NOfMPattern::allows(const Mask& mask) const {
  for (int64_t r = 0; r < mask.rows; ++r) {
    for (int64_t c = 0; c < mask.cols; c += m) {
      const uint8_t* group = mask.row(r) + c;
      if (std::accumulate(group, group + std::min(m, mask.cols - c), int64_t{0}) > n) return false;
    }
  }
  return true;
}

int64_t NOfMPattern::most_kept(int64_t rows, int64_t cols) const {
  return rows * (cols / m * n + std::min(n, cols % m));
}

}  // namespace scant
