#pragma once

#include "formats/layouts/layout.h"

namespace scant {

/// Where a bit of the rank of group `group` stands among those of all groups of a row, `whole` of
/// which have M weights. In each 128 whole groups bit 4 h + s of byte i (of 16) belongs to group
/// 32 s + 16 h + i, so that shifts of a vector bring 32 groups at a time to the highest bits of
/// its bytes; the rest of a row stands in order.
constexpr int64_t rank_place(int64_t group, int64_t whole) {
  if (group >= whole / 128 * 128) return group;
  const int64_t inside = group % 128;
  return group - inside + inside % 16 * 8 + inside / 16 % 2 * 4 + inside / 32;
}

/// N:M with one number per group that says which N of its M weights are kept.
///
///   positions  row 0: bit 0 of the ranks of all groups; then bit 1 of the ranks, ...; filled up to
///              a byte at the end; row 1: .... A bit of group g stands at rank_place(g)
///   codes      a run per row: the min(N, r) kept codes of each group
///   scales     one per block of the format, row by row; zero points and constants after them
///
/// The rank of kept positions p_1 < ... < p_N is sum C(p_i, i) (the combinatorial number system, in
/// colexicographic order), 0 <= rank < C(M, N), in ceil(log2 C(M, N)) bits: 3 for 2:4, 2 for 1:4,
/// 7 for 4:8, 14 for 8:16. A tail of r weights takes ceil(log2 C(r, min(N, r))) bits. Ranks of 64
/// bits hold M <= 64.
struct NOfMLayout {
  static constexpr std::string_view kName = "n_of_m";
  static constexpr std::string_view kMeaning =
      "kept codes, and per group the rank of its positions (3 bits for 2:4)";
  static constexpr int64_t kLargestGroup = 64;

  static std::optional<std::string> refusal(const NumberFormat& format,
                                            const SparsityPattern* pattern);
  static LayoutExtent extent(const StoredMatrix& matrix);
  static void write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out);
  static PackedIndex index(const LayoutView& view);
  static void read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                       std::span<uint8_t> keep);
  static int64_t scale_place(const LayoutView& view, int64_t row, int64_t block) {
    return place_among_all(view.spec, row, block);
  }
  /// ceil(log2 C(m, n)), 0 <= n <= m <= kLargestGroup.
  static int rank_bits(int64_t m, int64_t n);
};

/// N:M with the position of every kept weight in its group, as sparse tensor cores read it.
///
///   positions  row 0: the position of each kept weight, ceil(log2 M) bits, rising within a group,
///              filled up to a byte; row 1: ...
///   codes, scales  as in n_of_m
///
/// 2:4 takes 4 bits per quad: two positions of 2 bits.
struct NOfMPositionsLayout {
  static constexpr std::string_view kName = "n_of_m_positions";
  static constexpr std::string_view kMeaning =
      "kept codes, and the position of each in its group (two of 2 bits for 2:4)";

  static std::optional<std::string> refusal(const NumberFormat& format,
                                            const SparsityPattern* pattern);
  static LayoutExtent extent(const StoredMatrix& matrix);
  static void write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out);
  static PackedIndex index(const LayoutView& view);
  static void read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                       std::span<uint8_t> keep);
  static int64_t scale_place(const LayoutView& view, int64_t row, int64_t block) {
    return place_among_all(view.spec, row, block);
  }
};

}  // namespace scant
