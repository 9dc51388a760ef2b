#include "formats/layouts/n_of_m.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "core/error.h"

namespace scant {
namespace {

const NOfMPattern* n_of_m(const SparsityPattern* pattern) {
  return pattern == nullptr ? nullptr : std::get_if<NOfMPattern>(&pattern->pattern);
}

const NOfMPattern& groups_of(const PackedSpec& spec) {
  return std::get<NOfMPattern>(spec.pattern->pattern);
}

/// One group of a row: its first column, its length and the weights that it keeps.
struct Group {
  int64_t begin, length, kept;
};

template <typename Visit>
void for_groups(const PackedSpec& spec, const Visit& visit) {
  const NOfMPattern& groups = groups_of(spec);
  for (int64_t begin = 0; begin < spec.cols; begin += groups.m) {
    const int64_t length = std::min(groups.m, spec.cols - begin);
    visit(Group{begin, length, std::min(groups.n, length)});
  }
}

int64_t kept_per_row(const PackedSpec& spec) { return spec.pattern->most_kept(1, spec.cols); }

LayoutExtent extent_with(const StoredMatrix& matrix, int64_t position_bits_per_row) {
  const int64_t kept = matrix.pattern->most_kept(1, matrix.cols);
  return {.position_bits = matrix.rows * position_bits_per_row,
          .position_bytes = matrix.rows * bytes_of(position_bits_per_row),
          .kept = matrix.rows * kept,
          .code_bytes = matrix.rows * bytes_of(kept * matrix.format.code_bits()),
          .scales = all_scales(matrix)};
}

/// The columns that a row keeps, group by group; where the mask keeps fewer than the pattern
/// allows, the first others join.
std::vector<int64_t> kept_columns(const PackedSpec& spec, const CodeRows& rows, int64_t row) {
  std::vector<int64_t> columns;
  columns.reserve(static_cast<size_t>(kept_per_row(spec)));
  for_groups(spec, [&](const Group& group) {
    int64_t missing = group.kept;
    for (int64_t c = 0; c < group.length; ++c) {
      missing -= static_cast<int64_t>(rows.kept(row, group.begin + c));
    }
    if (missing < 0) throw Error("pack", "the mask keeps more than its pattern allows");
    for (int64_t c = 0; c < group.length; ++c) {
      const bool kept = rows.kept(row, group.begin + c);
      if (!kept && missing == 0) continue;
      if (!kept) --missing;
      columns.push_back(group.begin + c);
    }
  });
  return columns;
}

void append_codes(const CodeRows& rows, int64_t row, std::span<const int64_t> columns,
                  std::vector<uint32_t>& codes, PackedBytes& out) {
  rows.read(row, codes);
  std::vector<uint32_t> run;
  run.reserve(columns.size());
  for (const int64_t c : columns) run.push_back(codes[static_cast<size_t>(c)]);
  append_run(out.codes, run, rows.code_bits());
}

void read_codes(const LayoutView& view, int64_t row, std::span<const int64_t> columns,
                std::span<uint32_t> codes, std::span<uint8_t> keep) {
  const auto count = static_cast<int64_t>(columns.size());
  const auto stride = static_cast<size_t>(bytes_of(count * view.code_bits()));
  std::vector<uint32_t> run(columns.size());
  read_run(view.codes.subspan(static_cast<size_t>(row) * stride, stride), count, view.code_bits(),
           0, run);
  std::ranges::fill(codes, 0u);
  std::ranges::fill(keep, uint8_t{0});
  for (size_t i = 0; i < columns.size(); ++i) {
    codes[static_cast<size_t>(columns[i])] = run[i];
    keep[static_cast<size_t>(columns[i])] = 1;
  }
}

/// C(n, k) for n <= 64.
class Binomials {
 public:
  Binomials() {
    for (size_t n = 0; n < table_.size(); ++n) {
      table_[n][0] = 1;
      for (size_t k = 1; k <= n; ++k) {
        table_[n][k] = table_[n - 1][k - 1] + (k < n ? table_[n - 1][k] : 0);
      }
    }
  }
  uint64_t operator()(int64_t n, int64_t k) const {
    return k > n ? 0 : table_[static_cast<size_t>(n)][static_cast<size_t>(k)];
  }

 private:
  std::array<std::array<uint64_t, 65>, 65> table_{};
};

const Binomials& binomials() {
  static const Binomials table;
  return table;
}

/// Bits of the ranks of one row: bit j of every group's rank, then bit j + 1.
class RankPlanes {
 public:
  explicit RankPlanes(const PackedSpec& spec) : whole_(spec.cols / groups_of(spec).m) {
    for_groups(spec, [&](const Group& group) {
      groups_.push_back(group);
      bits_.push_back(NOfMLayout::rank_bits(group.length, group.kept));
    });
    // Only the last group may have fewer bits.
    const int most = bits_.empty() ? 0 : *std::ranges::max_element(bits_);
    int64_t begin = 0;
    for (int j = 0; j < most; ++j) {
      begins_.push_back(begin);
      begin += std::ranges::count_if(bits_, [&](int bits) { return bits > j; });
    }
    total_ = begin;
  }
  const std::vector<Group>& groups() const { return groups_; }
  int64_t stride() const { return bytes_of(total_); }
  int64_t total_bits() const { return total_; }

  uint64_t read(std::span<const std::byte> row, size_t group) const {
    uint64_t rank = 0;
    for (int j = 0; j < bits_[group]; ++j) {
      rank |= static_cast<uint64_t>(get_bits(row, at(group, j), 1)) << j;
    }
    return rank;
  }
  /// Whether some of the first `count` ranks, all of whole groups, may be `limit` or more: compares
  /// 32 ranks at a time, bit by bit from the highest.
  bool may_exceed(std::span<const std::byte> row, int64_t count, uint64_t limit) const {
    for (int64_t g = 0; g < count; g += 32) {
      const int width = static_cast<int>(std::min<int64_t>(32, count - g));
      uint32_t above = 0, equal = ~0u;
      for (int j = bits_.front(); j-- > 0;) {
        const uint32_t bits = get_bits(row, begins_[static_cast<size_t>(j)] + g, width);
        const uint32_t bound = ((limit - 1) >> j & 1u) != 0 ? ~0u : 0u;
        above |= equal & bits & ~bound;
        equal &= ~(bits ^ bound);
      }
      if (above != 0) return true;
    }
    return false;
  }
  void write(std::span<std::byte> row, size_t group, uint64_t rank) const {
    for (int j = 0; j < bits_[group]; ++j) {
      put_bits(row, at(group, j), 1, static_cast<uint32_t>((rank >> j) & 1u));
    }
  }

 private:
  int64_t at(size_t group, int bit) const {
    return begins_[static_cast<size_t>(bit)] + rank_place(static_cast<int64_t>(group), whole_);
  }
  int64_t whole_;
  std::vector<Group> groups_;
  std::vector<int> bits_;
  std::vector<int64_t> begins_;
  int64_t total_ = 0;
};

/// Appends the columns of the rank's combination. False if there is no such rank.
bool append_combination(const Group& group, uint64_t rank, std::vector<int64_t>& columns) {
  if (rank >= binomials()(group.length, group.kept)) return false;
  const size_t first = columns.size();
  columns.resize(first + static_cast<size_t>(group.kept));
  int64_t position = group.length - 1;
  for (int64_t i = group.kept; i >= 1; --i) {
    while (binomials()(position, i) > rank) --position;
    rank -= binomials()(position, i);
    columns[first + static_cast<size_t>(i - 1)] = group.begin + position;
    --position;
  }
  return true;
}

std::span<const std::byte> row_of(std::span<const std::byte> bytes, int64_t row, int64_t stride) {
  return bytes.subspan(static_cast<size_t>(row * stride), static_cast<size_t>(stride));
}

void check_filling(const LayoutView& view, std::span<const std::byte> row, int64_t bits,
                   int64_t index) {
  for (int64_t bit = bits; bit % 8 != 0; ++bit) {
    if (get_bits(row, bit, 1) != 0) {
      view.fail(fmt::format("positions of row {} go past its last group", index));
    }
  }
}

int position_bits(const PackedSpec& spec) {
  return std::bit_width(static_cast<uint64_t>(groups_of(spec).m - 1));
}

}  // namespace

std::optional<std::string> NOfMLayout::refusal(const NumberFormat&,
                                               const SparsityPattern* pattern) {
  const NOfMPattern* groups = n_of_m(pattern);
  if (groups == nullptr) return "its groups are for N:M patterns";
  if (groups->m <= kLargestGroup) return std::nullopt;
  return "a rank of 64 bits holds groups of at most " + std::to_string(kLargestGroup);
}

int NOfMLayout::rank_bits(int64_t m, int64_t n) { return std::bit_width(binomials()(m, n) - 1); }

LayoutExtent NOfMLayout::extent(const StoredMatrix& matrix) {
  const NOfMPattern& groups = *n_of_m(matrix.pattern);
  const int64_t tail = matrix.cols % groups.m;
  return extent_with(matrix, matrix.cols / groups.m * rank_bits(groups.m, groups.n) +
                                 rank_bits(tail, std::min(groups.n, tail)));
}

void NOfMLayout::write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out) {
  const RankPlanes planes(spec);
  out.positions.resize(static_cast<size_t>(spec.rows * planes.stride()));
  std::vector<uint32_t> codes(static_cast<size_t>(spec.cols));
  for (int64_t r = 0; r < spec.rows; ++r) {
    const auto columns = kept_columns(spec, rows, r);
    const std::span<std::byte> row = std::span(out.positions)
                                         .subspan(static_cast<size_t>(r * planes.stride()),
                                                  static_cast<size_t>(planes.stride()));
    size_t next = 0;
    for (size_t g = 0; g < planes.groups().size(); ++g) {
      const Group& group = planes.groups()[g];
      uint64_t rank = 0;
      for (int64_t i = 1; i <= group.kept; ++i) {
        rank += binomials()(columns[next++] - group.begin, i);
      }
      planes.write(row, g, rank);
    }
    append_codes(rows, r, columns, codes, out);
  }
}

PackedIndex NOfMLayout::index(const LayoutView& view) {
  const RankPlanes planes(view.spec);
  const NOfMPattern& pattern = groups_of(view.spec);
  const int64_t whole = view.spec.cols / pattern.m;
  for (int64_t r = 0; r < view.spec.rows; ++r) {
    const auto row = row_of(view.positions, r, planes.stride());
    const bool suspicious =
        whole > 0 && planes.may_exceed(row, whole, binomials()(pattern.m, pattern.n));
    const auto first = suspicious ? size_t{0} : static_cast<size_t>(whole);
    for (size_t g = first; g < planes.groups().size(); ++g) {
      const Group& group = planes.groups()[g];
      const uint64_t rank = planes.read(row, g);
      const uint64_t limit = binomials()(group.length, group.kept);
      if (rank >= limit) {
        view.fail(fmt::format("positions of row {}: group {} has rank {}; expected less than {}", r,
                              g, rank, limit));
      }
    }
    check_filling(view, row, planes.total_bits(), r);
  }
  return {};
}

void NOfMLayout::read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                          std::span<uint8_t> keep) {
  const RankPlanes planes(view.spec);
  const auto bits = row_of(view.positions, row, planes.stride());
  std::vector<int64_t> columns;
  columns.reserve(static_cast<size_t>(kept_per_row(view.spec)));
  for (size_t g = 0; g < planes.groups().size(); ++g) {
    append_combination(planes.groups()[g], planes.read(bits, g), columns);
  }
  read_codes(view, row, columns, codes, keep);
}

std::optional<std::string> NOfMPositionsLayout::refusal(const NumberFormat&,
                                                        const SparsityPattern* pattern) {
  if (n_of_m(pattern) != nullptr) return std::nullopt;
  return "its groups are for N:M patterns";
}

LayoutExtent NOfMPositionsLayout::extent(const StoredMatrix& matrix) {
  const NOfMPattern& groups = *n_of_m(matrix.pattern);
  const int64_t width = std::bit_width(static_cast<uint64_t>(groups.m - 1));
  return extent_with(matrix, matrix.pattern->most_kept(1, matrix.cols) * width);
}

void NOfMPositionsLayout::write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out) {
  const int width = position_bits(spec);
  const int64_t m = groups_of(spec).m;
  const int64_t stride = bytes_of(kept_per_row(spec) * width);
  out.positions.resize(static_cast<size_t>(spec.rows * stride));
  std::vector<uint32_t> codes(static_cast<size_t>(spec.cols));
  for (int64_t r = 0; r < spec.rows; ++r) {
    const auto columns = kept_columns(spec, rows, r);
    const std::span<std::byte> row =
        std::span(out.positions)
            .subspan(static_cast<size_t>(r * stride), static_cast<size_t>(stride));
    int64_t bit = 0;
    for (const int64_t c : columns) {
      put_bits(row, bit, width, static_cast<uint32_t>(c % m));
      bit += width;
    }
    append_codes(rows, r, columns, codes, out);
  }
}

PackedIndex NOfMPositionsLayout::index(const LayoutView& view) {
  const int width = position_bits(view.spec);
  const int64_t bits = kept_per_row(view.spec) * width;
  for (int64_t r = 0; r < view.spec.rows; ++r) {
    const auto row = row_of(view.positions, r, bytes_of(bits));
    int64_t bit = 0;
    for_groups(view.spec, [&](const Group& group) {
      int64_t last = -1;
      for (int64_t i = 0; i < group.kept; ++i, bit += width) {
        const int64_t position = get_bits(row, bit, width);
        if (position <= last || position >= group.length) {
          view.fail(
              fmt::format("positions of row {}: {} at column {} after {}; expected rising "
                          "ones below {}",
                          r, position, group.begin, last, group.length));
        }
        last = position;
      }
    });
    check_filling(view, row, bits, r);
  }
  return {};
}

void NOfMPositionsLayout::read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                                   std::span<uint8_t> keep) {
  const int width = position_bits(view.spec);
  const auto bits = row_of(view.positions, row, bytes_of(kept_per_row(view.spec) * width));
  std::vector<int64_t> columns;
  columns.reserve(static_cast<size_t>(kept_per_row(view.spec)));
  int64_t bit = 0;
  for_groups(view.spec, [&](const Group& group) {
    for (int64_t i = 0; i < group.kept; ++i, bit += width) {
      columns.push_back(group.begin + get_bits(bits, bit, width));
    }
  });
  read_codes(view, row, columns, codes, keep);
}

}  // namespace scant
