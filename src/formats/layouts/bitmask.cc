#include "formats/layouts/bitmask.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "core/error.h"

namespace scant {
namespace {

std::span<const std::byte> row_bits(const LayoutView& view, int64_t row) {
  const auto stride = static_cast<size_t>(bytes_of(view.spec.cols));
  return view.positions.subspan(static_cast<size_t>(row) * stride, stride);
}

int64_t set_bits(std::span<const std::byte> bytes) {
  int64_t count = 0;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, sizeof word);
    count += std::popcount(word);
  }
  for (; i < bytes.size(); ++i) count += std::popcount(std::to_integer<unsigned>(bytes[i]));
  return count;
}

/// What every row keeps, if the pattern says so of each alone.
std::optional<int64_t> kept_in_row(const PackedSpec& spec) {
  const auto* share = std::get_if<UnstructuredPattern>(&spec.pattern->pattern);
  if (share == nullptr || !share->per_row) return std::nullopt;
  return spec.pattern->most_kept(1, spec.cols);
}

int64_t count_kept(const CodeRows& rows, int64_t row) {
  int64_t count = 0;
  for (int64_t c = 0; c < rows.cols(); ++c) count += static_cast<int64_t>(rows.kept(row, c));
  return count;
}

}  // namespace

void BitmaskLayout::write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out) {
  std::vector<uint8_t> keep(static_cast<size_t>(spec.cols));
  std::vector<uint32_t> codes(keep.size());
  std::vector<uint32_t> run;
  run.reserve(static_cast<size_t>(spec.kept()));
  const auto per_row = kept_in_row(spec);
  // Where the mask keeps fewer than the pattern allows, the first others join.
  int64_t missing = spec.kept();
  for (int64_t r = 0; r < spec.rows && !per_row; ++r) missing -= count_kept(rows, r);
  for (int64_t r = 0; r < spec.rows; ++r) {
    if (per_row) missing = *per_row - count_kept(rows, r);
    if (missing < 0) throw Error("pack", "the mask keeps more than its pattern allows");
    rows.read(r, codes);
    for (int64_t c = 0; c < spec.cols; ++c) {
      const bool filled = !rows.kept(r, c) && missing > 0;
      missing -= static_cast<int64_t>(filled);
      keep[static_cast<size_t>(c)] = static_cast<uint8_t>(filled || rows.kept(r, c));
      if (keep[static_cast<size_t>(c)] != 0) run.push_back(codes[static_cast<size_t>(c)]);
    }
    append_flags(keep, out.positions);
  }
  append_run(out.codes, run, rows.code_bits());
}

PackedIndex BitmaskLayout::index(const LayoutView& view) {
  PackedIndex index;
  index.places.reserve(static_cast<size_t>(view.spec.rows) + 1);
  const auto per_row = kept_in_row(view.spec);
  int64_t before = 0;
  for (int64_t r = 0; r < view.spec.rows; ++r) {
    index.places.push_back(before);
    const auto bits = row_bits(view, r);
    const int64_t kept = set_bits(bits);
    before += kept;
    if (per_row && kept != *per_row) {
      view.fail(fmt::format("positions of row {} keep {} weights; expected {}", r, kept, *per_row));
    }
    const auto used = static_cast<unsigned>(view.spec.cols % 8);
    if (used != 0 && (std::to_integer<unsigned>(bits.back()) >> used) != 0) {
      view.fail(fmt::format("positions of row {} go past its last column", r));
    }
  }
  index.places.push_back(before);
  if (before != view.spec.kept()) {
    view.fail(fmt::format("positions keep {} weights; expected {}", before, view.spec.kept()));
  }
  return index;
}

void BitmaskLayout::read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                             std::span<uint8_t> keep) {
  const auto bits = row_bits(view, row);
  const int64_t first = view.index->places[static_cast<size_t>(row)];
  const int64_t count = view.index->places[static_cast<size_t>(row) + 1] - first;
  std::vector<uint32_t> kept(static_cast<size_t>(count));
  read_run(view.codes, view.spec.kept(), view.code_bits(), first, kept);
  size_t next = 0;
  for (int64_t c = 0; c < view.spec.cols; ++c) {
    const auto at = static_cast<size_t>(c);
    keep[at] = static_cast<uint8_t>(get_bits(bits, c, 1));
    codes[at] = keep[at] != 0 ? kept[next++] : 0;
  }
}

}  // namespace scant
