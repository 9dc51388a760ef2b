#include "formats/layouts/n_of_m.h"

#include <bit>

namespace scant {
namespace {

const NOfMPattern* n_of_m(const SparsityPattern* pattern) {
  return pattern == nullptr ? nullptr : std::get_if<NOfMPattern>(&pattern->pattern);
}

StoredSize size_with(const StoredMatrix& matrix, int64_t position_bits_per_row) {
  const int64_t kept_per_row = matrix.pattern->most_kept(1, matrix.cols);
  StoredMatrix packed = matrix;
  packed.kept = matrix.rows * kept_per_row;
  StoredSize size;
  size.positions = bytes_of(matrix.rows * position_bits_per_row);
  size.padding = matrix.rows * bytes_of(position_bits_per_row) - size.positions;
  add_codes(size, packed, matrix.rows * bytes_of(kept_per_row * matrix.format.code_bits()));
  add_scales(size, matrix, all_scales(matrix));
  return size;
}

}  // namespace

std::optional<std::string> NOfMLayout::refusal(const NumberFormat&,
                                               const SparsityPattern* pattern) {
  const NOfMPattern* groups = n_of_m(pattern);
  if (groups == nullptr) return "its groups are for N:M patterns";
  if (groups->m <= kLargestGroup) return std::nullopt;
  return "a rank of 64 bits holds groups of at most " + std::to_string(kLargestGroup);
}

int NOfMLayout::rank_bits(int64_t m, int64_t n) {
  // C(m, n) by C(k, i) = C(k-1, i-1) k / i: exact, and below 2^71 before the division for m <= 64.
  unsigned __int128 combinations = 1;
  for (int64_t i = 1; i <= n; ++i) {
    combinations = combinations * static_cast<uint64_t>(m - n + i) / static_cast<uint64_t>(i);
  }
  return std::bit_width(static_cast<uint64_t>(combinations) - 1);
}

StoredSize NOfMLayout::size(const StoredMatrix& matrix) {
  const NOfMPattern& groups = *n_of_m(matrix.pattern);
  const int64_t tail = matrix.cols % groups.m;
  return size_with(matrix, matrix.cols / groups.m * rank_bits(groups.m, groups.n) +
                               rank_bits(tail, std::min(groups.n, tail)));
}

std::optional<std::string> NOfMPositionsLayout::refusal(const NumberFormat&,
                                                        const SparsityPattern* pattern) {
  if (n_of_m(pattern) != nullptr) return std::nullopt;
  return "its groups are for N:M patterns";
}

StoredSize NOfMPositionsLayout::size(const StoredMatrix& matrix) {
  const NOfMPattern& groups = *n_of_m(matrix.pattern);
  const int64_t position_bits = std::bit_width(static_cast<uint64_t>(groups.m - 1));
  return size_with(matrix, matrix.pattern->most_kept(1, matrix.cols) * position_bits);
}

}  // namespace scant
