#include "formats/layouts/block_sparse.h"

#include <fmt/format.h>

#include <algorithm>

namespace scant {
namespace {

const BlockPattern* block_pattern(const SparsityPattern* pattern) {
  return pattern == nullptr ? nullptr : std::get_if<BlockPattern>(&pattern->pattern);
}

/// The blocks of one matrix.
struct Blocks {
  explicit Blocks(const PackedSpec& spec_in)
      : spec(spec_in),
        pattern(*block_pattern(&*spec.pattern)),
        across(pattern.block_cols(spec.cols)),
        down(pattern.block_rows(spec.rows)),
        kept(pattern.kept_blocks(spec.rows, spec.cols)) {}

  int64_t count() const { return across * down; }
  int64_t values() const { return pattern.rows * pattern.cols; }
  int64_t run_bytes() const { return bytes_of(values() * spec.format.code_bits()); }

  const PackedSpec& spec;
  const BlockPattern& pattern;
  int64_t across, down, kept;
};

/// Columns that share a stored scale, where there is one for each group or super-block.
int64_t scale_width(const NumberFormat& format) {
  return format.granularity.size * format.blocks_per_scale();
}

/// Whether groups of scales lie inside blocks, so that pruned blocks need none.
bool scales_inside(const NumberFormat& format, const BlockPattern& blocks) {
  return format.granularity.kind == Granularity::Kind::kGroup &&
         blocks.cols % scale_width(format) == 0;
}

LayoutExtent extent_with(const StoredMatrix& matrix, int64_t position_bits) {
  const BlockPattern& blocks = *block_pattern(matrix.pattern);
  const int64_t kept_blocks = blocks.kept_blocks(matrix.rows, matrix.cols);
  return {
      .position_bits = position_bits,
      .position_bytes = bytes_of(position_bits),
      .kept = matrix.kept,
      .code_bytes = kept_blocks * bytes_of(blocks.rows * blocks.cols * matrix.format.code_bits()),
      .scales = scales_inside(matrix.format, blocks)
                    ? kept_blocks * blocks.rows * (blocks.cols / scale_width(matrix.format))
                    : all_scales(matrix)};
}

std::optional<std::string> refusal_of(const SparsityPattern* pattern) {
  if (block_pattern(pattern) != nullptr) return std::nullopt;
  return "its blocks are for block patterns";
}

std::vector<uint8_t> kept_blocks(const Blocks& blocks, const CodeRows& rows) {
  std::vector<uint8_t> holds(static_cast<size_t>(blocks.count()), 0);
  for (int64_t r = 0; r < blocks.spec.rows; ++r) {
    uint8_t* row = holds.data() + r / blocks.pattern.rows * blocks.across;
    for (int64_t c = 0; c < blocks.spec.cols; ++c) {
      if (rows.kept(r, c)) row[c / blocks.pattern.cols] = 1;
    }
  }
  return chosen_units(std::move(holds), blocks.kept);
}

/// The runs of one row of blocks.
void append_block_row(const Blocks& blocks, const CodeRows& rows, int64_t block_row,
                      std::span<const uint8_t> flags, PackedBytes& out) {
  const BlockPattern& pattern = blocks.pattern;
  const int64_t width = blocks.across * pattern.cols;
  std::vector<uint32_t> codes(static_cast<size_t>(pattern.rows * width), rows.filler());
  for (int64_t r = 0; r < pattern.rows; ++r) {
    const int64_t row = block_row * pattern.rows + r;
    if (row >= blocks.spec.rows) break;
    rows.read(row, std::span(codes).subspan(static_cast<size_t>(r * width),
                                            static_cast<size_t>(blocks.spec.cols)));
  }
  std::vector<uint32_t> run(static_cast<size_t>(blocks.values()));
  for (int64_t b = 0; b < blocks.across; ++b) {
    if (flags[static_cast<size_t>(block_row * blocks.across + b)] == 0) continue;
    for (int64_t r = 0; r < pattern.rows; ++r) {
      std::copy_n(codes.data() + r * width + b * pattern.cols, pattern.cols,
                  run.data() + r * pattern.cols);
    }
    append_run(out.codes, run, rows.code_bits());
  }
}

void append_blocks(const Blocks& blocks, const CodeRows& rows, std::span<const uint8_t> flags,
                   PackedBytes& out) {
  for (int64_t b = 0; b < blocks.down; ++b) append_block_row(blocks, rows, b, flags, out);
}

void read_block_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                    std::span<uint8_t> keep) {
  const Blocks blocks(view.spec);
  const int64_t width = blocks.pattern.cols;
  std::ranges::fill(codes, 0u);
  std::ranges::fill(keep, uint8_t{0});
  std::vector<uint32_t> values(static_cast<size_t>(width));
  for (int64_t b = 0; b < blocks.across; ++b) {
    const int64_t block = row / blocks.pattern.rows * blocks.across + b;
    const int64_t place = view.index->places[static_cast<size_t>(block)];
    if (place < 0) continue;
    const auto run = view.codes.subspan(static_cast<size_t>(place * blocks.run_bytes()),
                                        static_cast<size_t>(blocks.run_bytes()));
    read_run(run, blocks.values(), view.code_bits(), row % blocks.pattern.rows * width, values);
    const int64_t count = std::min(width, view.spec.cols - b * width);
    std::copy_n(values.data(), count, codes.data() + b * width);
    std::fill_n(keep.data() + b * width, count, uint8_t{1});
  }
}

int64_t place_of_scale(const LayoutView& view, int64_t row, int64_t group) {
  const Blocks blocks(view.spec);
  const BlockPattern& pattern = blocks.pattern;
  if (!scales_inside(view.spec.format, pattern)) return place_among_all(view.spec, row, group);
  const int64_t size = scale_width(view.spec.format);
  const int64_t scale = group / view.spec.format.blocks_per_scale();
  const int64_t block = row / pattern.rows * blocks.across + scale * size / pattern.cols;
  const int64_t place = view.index->places[static_cast<size_t>(block)];
  if (place < 0) return -1;
  const int64_t scales = pattern.cols / size;
  return (place * pattern.rows + row % pattern.rows) * scales + scale % scales;
}

int column_bits(const Blocks& blocks) { return blocks.across <= 65536 ? 16 : 32; }

}  // namespace

std::optional<std::string> BlockBitmaskLayout::refusal(const NumberFormat&,
                                                       const SparsityPattern* pattern) {
  return refusal_of(pattern);
}

LayoutExtent BlockBitmaskLayout::extent(const StoredMatrix& matrix) {
  const BlockPattern& blocks = *block_pattern(matrix.pattern);
  return extent_with(matrix, blocks.block_rows(matrix.rows) * blocks.block_cols(matrix.cols));
}

void BlockBitmaskLayout::write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out) {
  const Blocks blocks(spec);
  const auto flags = kept_blocks(blocks, rows);
  append_flags(flags, out.positions);
  append_blocks(blocks, rows, flags, out);
}

PackedIndex BlockBitmaskLayout::index(const LayoutView& view) {
  const Blocks blocks(view.spec);
  return {places_of(read_flags(view, blocks.count(), blocks.kept))};
}

void BlockBitmaskLayout::read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                                  std::span<uint8_t> keep) {
  read_block_row(view, row, codes, keep);
}

int64_t BlockBitmaskLayout::scale_place(const LayoutView& view, int64_t row, int64_t block) {
  return place_of_scale(view, row, block);
}

std::optional<std::string> BlockRowsLayout::refusal(const NumberFormat&,
                                                    const SparsityPattern* pattern) {
  return refusal_of(pattern);
}

LayoutExtent BlockRowsLayout::extent(const StoredMatrix& matrix) {
  const BlockPattern& blocks = *block_pattern(matrix.pattern);
  const int64_t column_bits = blocks.block_cols(matrix.cols) <= 65536 ? 16 : 32;
  return extent_with(matrix, 32 * (blocks.block_rows(matrix.rows) + 1) +
                                 column_bits * blocks.kept_blocks(matrix.rows, matrix.cols));
}

void BlockRowsLayout::write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out) {
  const Blocks blocks(spec);
  const auto flags = kept_blocks(blocks, rows);
  const int width = column_bits(blocks);
  out.positions.resize(static_cast<size_t>(4 * (blocks.down + 1) + width / 8 * blocks.kept));
  uint32_t start = 0;
  int64_t column_bit = 32 * (blocks.down + 1);
  for (int64_t r = 0; r < blocks.down; ++r) {
    put_bits(out.positions, 32 * r, 32, start);
    for (int64_t b = 0; b < blocks.across; ++b) {
      if (flags[static_cast<size_t>(r * blocks.across + b)] == 0) continue;
      put_bits(out.positions, column_bit, width, static_cast<uint32_t>(b));
      column_bit += width;
      ++start;
    }
  }
  put_bits(out.positions, 32 * blocks.down, 32, start);
  append_blocks(blocks, rows, flags, out);
}

PackedIndex BlockRowsLayout::index(const LayoutView& view) {
  const Blocks blocks(view.spec);
  const int width = column_bits(blocks);
  PackedIndex index{std::vector<int64_t>(static_cast<size_t>(blocks.count()), -1)};
  int64_t place = 0;
  for (int64_t r = 0; r < blocks.down; ++r) {
    const int64_t begin = get_bits(view.positions, 32 * r, 32);
    const int64_t end = get_bits(view.positions, 32 * (r + 1), 32);
    if (begin != place || end < begin || end > blocks.kept) {
      view.fail(
          fmt::format("positions: row of blocks {} starts at {} and ends at {}; expected {} "
                      "to at most {}",
                      r, begin, end, place, blocks.kept));
    }
    int64_t last = -1;
    for (; place < end; ++place) {
      const int64_t column =
          get_bits(view.positions, 32 * (blocks.down + 1) + place * width, width);
      if (column <= last || column >= blocks.across) {
        view.fail(
            fmt::format("positions: row of blocks {} lists block {} after {}; expected "
                        "rising ones below {}",
                        r, column, last, blocks.across));
      }
      index.places[static_cast<size_t>(r * blocks.across + column)] = place;
      last = column;
    }
  }
  if (place != blocks.kept) {
    view.fail(fmt::format("positions list {} blocks; expected {}", place, blocks.kept));
  }
  return index;
}

void BlockRowsLayout::read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                               std::span<uint8_t> keep) {
  read_block_row(view, row, codes, keep);
}

int64_t BlockRowsLayout::scale_place(const LayoutView& view, int64_t row, int64_t block) {
  return place_of_scale(view, row, block);
}

}  // namespace scant
