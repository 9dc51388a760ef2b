#include "formats/layouts/structured.h"

#include <algorithm>

namespace scant {
namespace {

const StructuredPattern& pattern_of(const PackedSpec& spec) {
  return std::get<StructuredPattern>(spec.pattern->pattern);
}

bool by_row(const StructuredPattern& pattern) {
  return pattern.axis == StructuredPattern::Axis::kRows;
}

/// Columns of a run.
int64_t run_length(const PackedSpec& spec) {
  const StructuredPattern& pattern = pattern_of(spec);
  return by_row(pattern) ? spec.cols : pattern.kept_units(spec.cols);
}

}  // namespace

LayoutExtent StructuredLayout::extent(const StoredMatrix& matrix) {
  const auto& pattern = std::get<StructuredPattern>(matrix.pattern->pattern);
  const int64_t units = by_row(pattern) ? matrix.rows : matrix.cols;
  const int64_t rows = by_row(pattern) ? pattern.kept_units(matrix.rows) : matrix.rows;
  const int64_t cols = by_row(pattern) ? matrix.cols : pattern.kept_units(matrix.cols);
  return {.position_bits = units,
          .position_bytes = bytes_of(units),
          .kept = rows * cols,
          .code_bytes = rows * bytes_of(cols * matrix.format.code_bits()),
          .scales = matrix.format.scale_count(rows, matrix.cols)};
}

void StructuredLayout::write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out) {
  const StructuredPattern& pattern = pattern_of(spec);
  const int64_t units = by_row(pattern) ? spec.rows : spec.cols;
  std::vector<uint8_t> holds(static_cast<size_t>(units), 0);
  for (int64_t r = 0; r < spec.rows; ++r) {
    for (int64_t c = 0; c < spec.cols; ++c) {
      if (rows.kept(r, c)) holds[static_cast<size_t>(by_row(pattern) ? r : c)] = 1;
    }
  }
  const auto flags = chosen_units(std::move(holds), pattern.kept_units(units));
  append_flags(flags, out.positions);
  std::vector<uint32_t> codes(static_cast<size_t>(spec.cols));
  std::vector<uint32_t> run;
  for (int64_t r = 0; r < spec.rows; ++r) {
    if (by_row(pattern) && flags[static_cast<size_t>(r)] == 0) continue;
    rows.read(r, codes);
    run.clear();
    for (size_t c = 0; c < codes.size(); ++c) {
      if (by_row(pattern) || flags[c] != 0) run.push_back(codes[c]);
    }
    append_run(out.codes, run, rows.code_bits());
  }
}

PackedIndex StructuredLayout::index(const LayoutView& view) {
  const StructuredPattern& pattern = pattern_of(view.spec);
  const int64_t units = by_row(pattern) ? view.spec.rows : view.spec.cols;
  return {places_of(read_flags(view, units, pattern.kept_units(units)))};
}

void StructuredLayout::read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                                std::span<uint8_t> keep) {
  const auto& places = view.index->places;
  const bool rows = by_row(pattern_of(view.spec));
  const int64_t place = rows ? places[static_cast<size_t>(row)] : row;
  std::ranges::fill(codes, 0u);
  std::ranges::fill(keep, uint8_t{0});
  if (place < 0) return;
  const int64_t length = run_length(view.spec);
  const auto stride = static_cast<size_t>(bytes_of(length * view.code_bits()));
  std::vector<uint32_t> run(static_cast<size_t>(length));
  read_run(view.codes.subspan(static_cast<size_t>(place) * stride, stride), length,
           view.code_bits(), 0, run);
  for (size_t c = 0; c < codes.size(); ++c) {
    const int64_t at = rows ? static_cast<int64_t>(c) : places[c];
    if (at < 0) continue;
    codes[c] = run[static_cast<size_t>(at)];
    keep[c] = 1;
  }
}

int64_t StructuredLayout::scale_place(const LayoutView& view, int64_t row, int64_t block) {
  if (!by_row(pattern_of(view.spec))) return place_among_all(view.spec, row, block);
  const int64_t place = view.index->places[static_cast<size_t>(row)];
  return place < 0 ? -1 : place_among_all(view.spec, place, block);
}

}  // namespace scant
