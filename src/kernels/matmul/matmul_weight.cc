#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "formats/layouts/bitmask.h"
#include "formats/layouts/dense.h"
#include "formats/layouts/n_of_m.h"
#include "kernels/matmul/packed_matmul.h"
#include "kernels/matmul/row_codes.h"

namespace scant {
namespace {

/// Integers, times a power of two, that codes stand for.
struct IntegerValues {
  float unit = 1.0f;
  std::array<int, 256> integers{};
};

/// Nothing where a code's value is not an integer of at most 8 bits times the unit.
std::optional<IntegerValues> integer_values(const NumberFormat& format) {
  std::optional<IntegerValues> found;
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (int power = 0; power <= 8 && !found; ++power) {
            IntegerValues values{std::ldexp(1.0f, -power), {}};
            bool fits = true;
            for (int code = 0; code < 1 << element.code_bits(); ++code) {
              const float value = element.code_value(static_cast<uint8_t>(code));
              if (value < element.smallest() || value > element.largest()) continue;  // no code
              const float integer = std::ldexp(value, power);
              fits = fits && integer == std::nearbyint(integer) && std::fabs(integer) <= 255.0f;
              if (fits) values.integers[static_cast<size_t>(code)] = static_cast<int>(integer);
            }
            if (fits) found = values;
          }
        }
      },
      format.element);
  return found;
}

bool is_two_four(const PackedSpec& spec) {
  if (spec.layout != NOfMLayout::kName || spec.cols % 32 != 0) return false;
  const auto* pattern = std::get_if<NOfMPattern>(&spec.pattern->pattern);
  return pattern->n == 2 && pattern->m == 4;
}

/// What FewPath::kPieces asks for; strings of pieces begin with a byte each.
bool are_pieces(int bits, int64_t cols, std::span<const int8_t> values) {
  if ((bits != 2 && bits != 3 && bits != 5 && bits != 6) || cols % 4 != 0) return false;
  const auto half = size_t{1} << (bits - 1);
  for (size_t code = 0; code < 2 * half; ++code) {
    if (values[code] < -piece_offset(bits) || values[code] > 63) return false;
    const bool odd = bits == 3 || bits == 5;
    if (odd && code < half && values[code + half] - values[code] != values[half] - values[0]) {
      return false;
    }
  }
  return true;
}

/// Groups that kernels can follow.
bool has_whole_groups(const NumberFormat& format, bool corrected) {
  if (format.granularity.kind != Granularity::Kind::kGroup) return true;
  const int64_t size = format.granularity.size;
  return size % 32 == 0 || (size == 16 && !corrected);
}

}  // namespace

MatmulWeight::MatmulWeight(PackedMatrix matrix) : matrix_(std::move(matrix)) {
  const PackedSpec& spec = matrix_.spec();
  const auto values = integer_values(spec.format);
  const bool dense = spec.layout == DenseLayout::kName;
  const SuperBlock* super_block = spec.format.super_block();
  zero_points_ =
      spec.format.rules().zero_point || (super_block != nullptr && super_block->has_offsets);
  if (!values || !has_whole_groups(spec.format, zero_points_) || spec.column_factors) return;
  if (zero_points_ && !dense) return;  // which weights are kept is needed for the correction
  const int bits = spec.format.code_bits();
  shift_ = zero_points_ ? 1 << (bits - 1) : 0;
  for (size_t code = 0; code < 256; ++code) {
    const int value = values->integers[code & ((size_t{1} << bits) - 1)] - shift_;
    if (value < -128 || value > 127) return;
    values_[code] = static_cast<int8_t>(value);
  }
  unit_ = values->unit;
  all_scales_ = super_block == nullptr &&
                (dense || spec.layout == BitmaskLayout::kName || spec.layout == NOfMLayout::kName ||
                 spec.layout == NOfMPositionsLayout::kName);
  const auto constants = matrix_.part(PackedPart::kConstants);
  if (!constants.empty()) std::memcpy(&tensor_scale_, constants.data(), sizeof tensor_scale_);
  path_ = MatmulPath::kBytes;
  bool as_stored = bits == 8;  // codes are their values
  for (int code = 0; code < 256; ++code) {
    as_stored = as_stored && (values_[code] == static_cast<int8_t>(code) || code == 128);
  }
  const bool small = bits == 4 && std::ranges::all_of(std::span(values_).first(16), [](int value) {
                       return value >= -16 && value <= 15;
                     });
  if (dense) {
    direct_ = as_stored || small;
    pieces_ = are_pieces(bits, spec.cols, values_);
    if (small) path_ = MatmulPath::kNibbles;
  } else if (spec.layout == BitmaskLayout::kName) {
    masked_ = as_stored || small;
    if (small) path_ = MatmulPath::kNibbles;
  } else if (is_two_four(spec) && (as_stored || small)) {
    direct_ = true;
    path_ = small ? MatmulPath::kQuads4 : MatmulPath::kQuads8;
  }
}

std::optional<FewPath> MatmulWeight::few_path(bool lowest) const {
  const auto fused = [](bool wanted, FewPath path, FewPath decoded) {
    return wanted && packed_matmul_row().few(path).run != nullptr ? path : decoded;
  };
  switch (path_) {
    case MatmulPath::kFloats:
      return std::nullopt;
    case MatmulPath::kBytes:
      return fused(masked_, FewPath::kMaskedBytes,
                   fused(pieces_, FewPath::kPieces, FewPath::kBytes));
    case MatmulPath::kNibbles:
      return fused(masked_, FewPath::kMaskedNibbles, FewPath::kNibbles);
    case MatmulPath::kQuads4:
      return FewPath::kQuads4;
    case MatmulPath::kQuads8:
      return lowest ? FewPath::kBytes : FewPath::kQuads8;
  }
  return std::nullopt;
}

int64_t MatmulWeight::block_columns() const {
  const Granularity& granularity = matrix_.spec().format.granularity;
  return granularity.kind == Granularity::Kind::kGroup ? granularity.size : cols();
}

int64_t MatmulWeight::scale_columns(int64_t step, bool few) const {
  const int64_t width = block_columns();
  if (width >= cols()) return (cols() + step - 1) / step * step;
  const bool followed =
      !few || width % step == 0 || width == 16 || width == 32 || width == 64 || width == 128;
  return followed ? width : 32;
}

void MatmulWeight::decode_rows(int64_t begin, MatrixView out) const {
  const PackedSpec& spec = matrix_.spec();
  if (!RowCodes::can_read(spec) || spec.column_factors) return matrix_.unpack_rows(begin, out);
  std::array<float, 256> table{};
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (size_t code = 0; code < table.size(); ++code) {
            table[code] = element.code_value(static_cast<uint8_t>(code));
          }
        }
      },
      spec.format.element);
  const Granularity& granularity = spec.format.granularity;
  const int64_t width =
      granularity.kind == Granularity::Kind::kGroup ? granularity.size : spec.cols;
  std::vector<uint8_t> codes(static_cast<size_t>(spec.cols));
  std::vector<BlockScale> scales(
      static_cast<size_t>((spec.cols + width - 1) / std::max<int64_t>(1, width)));
  RowCodes reader(matrix_);
  for (int64_t r = 0; r < out.rows; ++r) {
    reader.read(begin + r, codes);
    read_row_scales(matrix_, begin + r, scales);
    float* to = out.row(r);
    for (int64_t first = 0; first < spec.cols; first += width) {
      const BlockScale& block = scales[static_cast<size_t>(first / width)];
      const auto zero_point = static_cast<float>(block.zero_point);
      for (int64_t c = first; c < std::min(spec.cols, first + width); ++c) {
        to[c] = (table[codes[static_cast<size_t>(c)]] - zero_point) * block.scale + block.offset;
      }
    }
  }
}

}  // namespace scant
