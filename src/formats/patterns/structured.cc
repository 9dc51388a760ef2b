#include "formats/patterns/structured.h"

namespace scant {
namespace {

std::vector<double> row_sums(const Scores& scores, Context& context) {
  const ConstMatrixView& values = scores.values;
  std::vector<double> sums(static_cast<size_t>(values.rows), 0.0);
  const RowPieces pieces(values.rows, values.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      for (const float value : values.row_span(r))
        sums[static_cast<size_t>(r)] += scores.term(value);
    }
  });
  return sums;
}

std::vector<double> col_sums(const Scores& scores, Context& context) {
  const ConstMatrixView& values = scores.values;
  std::vector<double> sums(static_cast<size_t>(values.cols), 0.0);
  // Pieces of columns: every sum runs down the rows in their order, whatever the piece.
  constexpr int64_t kWidth = 256;
  context.threads.parallel_for((values.cols + kWidth - 1) / kWidth, [&](int64_t piece) {
    const int64_t end = std::min(values.cols, (piece + 1) * kWidth);
    for (int64_t r = 0; r < values.rows; ++r) {
      const float* row = values.row(r);
      for (int64_t c = piece * kWidth; c < end; ++c) {
        sums[static_cast<size_t>(c)] += scores.term(row[c]);
      }
    }
  });
  return sums;
}

}  // namespace

std::vector<StructuredPattern> StructuredPattern::examples() {
  return {{Percent{50'000'000}, Axis::kRows}, {Percent{50'000'000}, Axis::kCols}};
}

std::optional<StructuredPattern> StructuredPattern::parse(const PatternSpelling& spelling) {
  if (!spelling.is_percentage() || !spelling.option) return std::nullopt;
  if (*spelling.option == "rows") return StructuredPattern{Percent::parse(spelling), Axis::kRows};
  if (*spelling.option == "cols") return StructuredPattern{Percent::parse(spelling), Axis::kCols};
  return std::nullopt;
}

std::string StructuredPattern::spelling() const {
  return percent.text() + (axis == Axis::kRows ? ":rows" : ":cols");
}

Mask StructuredPattern::select(const Scores& scores, Context& context) const {
  const ConstMatrixView& values = scores.values;
  const bool by_row = axis == Axis::kRows;
  const auto sums = by_row ? row_sums(scores, context) : col_sums(scores, context);
  const auto keep = keep_largest_units(sums, percent.of(static_cast<int64_t>(sums.size())));
  Mask mask = Mask::all(values.rows, values.cols);
  for (int64_t r = 0; r < values.rows; ++r) {
    if (by_row) {
      std::fill_n(mask.row(r), values.cols, keep[static_cast<size_t>(r)]);
    } else {
      std::copy(keep.begin(), keep.end(), mask.row(r));
    }
  }
  return mask;
}

bool StructuredPattern::allows(const Mask& mask) const {
  const bool by_row = axis == Axis::kRows;
  std::vector<uint8_t> kept(static_cast<size_t>(by_row ? mask.rows : mask.cols), 0);
  for (int64_t r = 0; r < mask.rows; ++r) {
    for (int64_t c = 0; c < mask.cols; ++c) kept[static_cast<size_t>(by_row ? r : c)] |= mask(r, c);
  }
  return std::count(kept.begin(), kept.end(), 1) <= kept_units(static_cast<int64_t>(kept.size()));
}

int64_t StructuredPattern::most_kept(int64_t rows, int64_t cols) const {
  return axis == Axis::kRows ? kept_units(rows) * cols : rows * kept_units(cols);
}

}  // namespace scant
