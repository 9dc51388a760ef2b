#include "kernels/matmul/row_codes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "formats/layouts/bit_runs.h"
#include "formats/layouts/bitmask.h"
#include "formats/layouts/dense.h"
#include "formats/layouts/n_of_m.h"

namespace scant {
namespace {

const uint8_t* part_bytes(const PackedMatrix& matrix, PackedPart part) {
  return reinterpret_cast<const uint8_t*>(matrix.part(part).data());
}

/// Kept positions of a quad by its rank; what no rank is keeps the first two.
constexpr std::array<std::array<uint8_t, 2>, 8> kKept = {
    {{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}, {0, 1}, {0, 1}}};

}  // namespace

bool RowCodes::can_read(const PackedSpec& spec) {
  if (spec.format.is_plain()) return false;
  const ElementRules rules = spec.format.rules();
  if (spec.layout == DenseLayout::kName) return true;
  if (rules.zero_point || !rules.has_zero) return false;
  if (spec.layout == BitmaskLayout::kName) return true;
  if (spec.layout != NOfMLayout::kName || spec.cols % 32 != 0) return false;
  const auto& pattern = std::get<NOfMPattern>(spec.pattern->pattern);
  return pattern.n == 2 && pattern.m == 4;
}

RowCodes::RowCodes(const PackedMatrix& matrix)
    : matrix_(matrix), kernels_(packed_matmul_row()), bits_(matrix.spec().format.code_bits()) {
  const PackedSpec& spec = matrix.spec();
  layout_ = spec.layout == DenseLayout::kName  ? Layout::kDense
            : spec.layout == NOfMLayout::kName ? Layout::kQuads
                                               : Layout::kMasked;
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) zero_ = element.nearest(0.0f, 0);
      },
      spec.format.element);
}

void RowCodes::unpack(const uint8_t* run, int64_t total, int64_t first, std::span<uint8_t> out) {
  const CodePieces pieces(bits_);
  const auto count = static_cast<int64_t>(out.size());
  int64_t piece_bit = 0;
  int shift = 0;
  for (int p = 0; p < pieces.count; ++p) {
    const int width = pieces.widths[static_cast<size_t>(p)];
    const int64_t begin = piece_bit + first * width;
    const int64_t bytes = bytes_of(begin % 8 + count * width);
    piece_.resize(static_cast<size_t>(bytes * 8 / width));
    kernels_.split(run + begin / 8, bytes, width, piece_.data());
    // A piece may begin inside a byte, and inside of what a byte is split into.
    const uint8_t* codes = piece_.data() + begin % 8 / width;
    if (p == 0) {
      std::copy_n(codes, count, out.data());
    } else {
      kernels_.join(codes, count, shift, out.data());
    }
    piece_bit += total * width;
    shift += width;
  }
}

void RowCodes::read(int64_t row, std::span<uint8_t> codes) {
  const int64_t cols = matrix_.cols();
  switch (layout_) {
    case Layout::kDense:
      return unpack(part_bytes(matrix_, PackedPart::kCodes) + row * bytes_of(cols * bits_), cols, 0,
                    codes);
    case Layout::kQuads:
      return read_quads(row, codes);
    case Layout::kMasked:
      return read_masked(row, codes);
  }
}

void RowCodes::read_quads(int64_t row, std::span<uint8_t> codes) {
  const int64_t cols = matrix_.cols();
  const int64_t plane = cols / 32;
  const uint8_t* ranks = part_bytes(matrix_, PackedPart::kPositions) + row * 3 * plane;
  kept_.resize(static_cast<size_t>(cols / 2));
  unpack(part_bytes(matrix_, PackedPart::kCodes) + row * bytes_of(cols / 2 * bits_), cols / 2, 0,
         kept_);
  std::fill(codes.begin(), codes.end(), zero_);
  const uint8_t* kept = kept_.data();
  uint8_t* out = codes.data();
  for (int64_t q = 0; q < cols / 4; ++q, kept += 2, out += 4) {
    const int64_t place = rank_place(q, cols / 4);
    const uint8_t* at = ranks + place / 8;
    const unsigned bit = static_cast<unsigned>(place % 8);
    const unsigned rank =
        (at[0] >> bit & 1u) | (at[plane] >> bit & 1u) << 1 | (at[2 * plane] >> bit & 1u) << 2;
    out[kKept[rank][0]] = kept[0];
    out[kKept[rank][1]] = kept[1];
  }
}

void RowCodes::read_masked(int64_t row, std::span<uint8_t> codes) {
  const auto& places = matrix_.index().places;
  const int64_t first = places[static_cast<size_t>(row)];
  const int64_t count = places[static_cast<size_t>(row) + 1] - first;
  kept_.resize(static_cast<size_t>(count));
  unpack(part_bytes(matrix_, PackedPart::kCodes), matrix_.spec().kept(), first, kept_);
  std::fill(codes.begin(), codes.end(), zero_);
  const int64_t stride = bytes_of(matrix_.cols());
  const uint8_t* mask = part_bytes(matrix_, PackedPart::kPositions) + row * stride;
  const uint8_t* next = kept_.data();
  for (int64_t byte = 0; byte < stride; byte += 8) {
    uint64_t word = 0;
    std::memcpy(&word, mask + byte, static_cast<size_t>(std::min<int64_t>(8, stride - byte)));
    for (; word != 0; word &= word - 1) {
      codes[static_cast<size_t>(8 * byte + std::countr_zero(word))] = *next++;
    }
  }
}

void read_row_scales(const PackedMatrix& matrix, int64_t row, std::span<BlockScale> scales) {
  const auto count = static_cast<int64_t>(scales.size());
  const SuperBlock* shape = matrix.spec().format.super_block();
  if (shape == nullptr) {
    for (int64_t b = 0; b < count; ++b) scales[static_cast<size_t>(b)] = matrix.scale(row, b);
    return;
  }
  for (int64_t first = 0; first < count; first += shape->blocks()) {
    const SuperBlockScales stored = matrix.super_block_scales(row, first);
    for (int64_t b = 0; b < std::min(shape->blocks(), count - first); ++b) {
      const auto at = static_cast<size_t>(b);
      scales[static_cast<size_t>(first + b)] = effective_scale(
          {static_cast<float>(stored.scales[at]), 0, static_cast<float>(stored.offsets[at])},
          stored.super);
    }
  }
}

}  // namespace scant
