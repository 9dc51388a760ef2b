#include "formats/patterns/block.h"

#include <algorithm>
#include <array>

#include "formats/spelling.h"

namespace scant {
namespace {

constexpr std::string_view kOption = "block=";

}  // namespace

std::vector<BlockPattern> BlockPattern::examples() {
  return {{Percent{50'000'000}, 1, 16}, {Percent{50'000'000}, 4, 4}, {Percent{75'000'000}, 2, 3}};
}

std::optional<BlockPattern> BlockPattern::parse(const PatternSpelling& spelling) {
  if (!spelling.is_percentage() || !spelling.option || !spelling.option->starts_with(kOption)) {
    return std::nullopt;
  }
  const std::string_view sides = spelling.option->substr(kOption.size());
  const size_t times = std::min(sides.find('x'), sides.size());
  const auto rows = parse_decimal(sides.substr(0, times), kLargestSide);
  const auto cols = parse_decimal(sides.substr(std::min(times + 1, sides.size())), kLargestSide);
  if (!rows || !cols || *rows < 1 || *cols < 1) {
    spelling.refuse(*spelling.option, "must be block=RxC with R rows and C columns of 1 to " +
                                          std::to_string(kLargestSide) + ", such as block=1x16");
  }
  return BlockPattern{Percent::parse(spelling), *rows, *cols};
}

std::string BlockPattern::spelling() const {
  return percent.text() + ":block=" + std::to_string(rows) + "x" + std::to_string(cols);
}

Mask BlockPattern::select(const Scores& scores, Context& context) const {
  const ConstMatrixView& values = scores.values;
  const int64_t across = block_cols(values.cols);
  const int64_t down = block_rows(values.rows);
  std::vector<double> sums(static_cast<size_t>(down * across), 0.0);
  context.threads.parallel_for(down, [&](int64_t block_row) {
    double* row_sums = sums.data() + block_row * across;
    for (int64_t r = block_row * rows; r < std::min(values.rows, (block_row + 1) * rows); ++r) {
      const float* row = values.row(r);
      for (int64_t b = 0; b < across; ++b) {
        const int64_t end = std::min(values.cols, (b + 1) * cols);
        double sum = 0;
        for (int64_t c = b * cols; c < end; ++c) sum += scores.term(row[c]);
        row_sums[b] += sum;
      }
    }
  });
  const auto keep = keep_largest_units(sums, percent.of(down * across));
  Mask mask = Mask::all(values.rows, values.cols);
  context.threads.parallel_for(down, [&](int64_t block_row) {
    const uint8_t* row_keep = keep.data() + block_row * across;
    for (int64_t r = block_row * rows; r < std::min(values.rows, (block_row + 1) * rows); ++r) {
      for (int64_t b = 0; b < across; ++b) {
        std::fill(mask.row(r) + b * cols, mask.row(r) + std::min(values.cols, (b + 1) * cols),
                  row_keep[b]);
      }
    }
  });
  return mask;
}

bool BlockPattern::allows(const Mask& mask) const {
  const int64_t across = block_cols(mask.cols);
  std::vector<uint8_t> kept(static_cast<size_t>(block_rows(mask.rows) * across), 0);
  for (int64_t r = 0; r < mask.rows; ++r) {
    for (int64_t c = 0; c < mask.cols; ++c) {
      kept[static_cast<size_t>(r / rows * across + c / cols)] |= mask(r, c);
    }
  }
  return std::count(kept.begin(), kept.end(), 1) <= kept_blocks(mask.rows, mask.cols);
}

int64_t BlockPattern::kept_blocks(int64_t matrix_rows, int64_t matrix_cols) const {
  const int64_t blocks = block_rows(matrix_rows) * block_cols(matrix_cols);
  return blocks - percent.of(blocks);
}

int64_t BlockPattern::most_kept(int64_t matrix_rows, int64_t matrix_cols) const {
  // The largest blocks are kept first: whole ones, then the longer of the two edges, the corner.
  struct Kind {
    int64_t count, size;
  };
  const int64_t whole_down = matrix_rows / rows, lower = matrix_rows % rows;
  const int64_t whole_across = matrix_cols / cols, right = matrix_cols % cols;
  std::array<Kind, 4> kinds{{{whole_down * whole_across, rows * cols},
                             {right > 0 ? whole_down : 0, rows * right},
                             {lower > 0 ? whole_across : 0, lower * cols},
                             {right > 0 && lower > 0 ? 1 : 0, lower * right}}};
  std::ranges::sort(kinds, [](const Kind& a, const Kind& b) { return a.size > b.size; });
  int64_t left = kept_blocks(matrix_rows, matrix_cols);
  int64_t total = 0;
  for (const Kind& kind : kinds) {
    const int64_t taken = std::min(left, kind.count);
    total += taken * kind.size;
    left -= taken;
  }
  return total;
}

}  // namespace scant
