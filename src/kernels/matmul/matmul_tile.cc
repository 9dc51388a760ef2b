#include "kernels/matmul/matmul_tile.h"

#include <algorithm>

namespace scant {
namespace {

const uint8_t* bytes_of_part(const PackedMatrix& matrix, PackedPart part) {
  return reinterpret_cast<const uint8_t*>(matrix.part(part).data());
}

void replace_codes(const int8_t* __restrict values, std::span<uint8_t> codes) {
  for (uint8_t& code : codes) code = static_cast<uint8_t>(values[code]);
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

MatmulPath MatmulTile::path() const {
  return x_.wide_ && weight_.path_ == MatmulPath::kQuads8 ? MatmulPath::kBytes : weight_.path_;
}

int64_t MatmulTile::block_width() const {
  const Granularity& granularity = weight_.matrix_.spec().format.granularity;
  return granularity.kind == Granularity::Kind::kGroup ? granularity.size : weight_.cols();
}

// Kernels follow groups of whole steps themselves; finer ones are laid out per 32 or 16 columns.
void MatmulTile::load_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                             WeightRows& rows) {
  const bool quads = path() == MatmulPath::kQuads4 || path() == MatmulPath::kQuads8;
  const int64_t step = quads ? 128 : 64;
  const int64_t padded = ceil_div(rows.cols, step) * step;
  const int64_t width = block_width();
  const int64_t blocks = ceil_div(rows.cols, width);
  int64_t unit = width;  // columns per scale that kernels see
  rows.step = ScaleStep::kGroup;
  rows.group = blocks == 1 ? padded : width;
  rows.scale_stride = blocks;
  if (blocks > 1 && width % step != 0) {
    rows.step = width % 32 == 0 ? ScaleStep::k32 : ScaleStep::k16;
    unit = width % 32 == 0 ? 32 : 16;
    rows.scale_stride = padded / unit;
  }
  blocks_.resize(static_cast<size_t>(count * blocks));
  block_scales(kernels, begin, count, blocks_);
  rows.scales = blocks_.data();
  if (rows.scale_stride == blocks) return;
  scales_.resize(static_cast<size_t>(count * rows.scale_stride));
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 0; k < rows.scale_stride; ++k) {
      const int64_t block = k * unit / width;
      scales_[static_cast<size_t>(i * rows.scale_stride + k)] =
          block < blocks ? blocks_[static_cast<size_t>(i * blocks + block)] : 0.0f;
    }
  }
  rows.scales = scales_.data();
}

void MatmulTile::block_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                              std::span<float> out) const {
  const PackedMatrix& matrix = weight_.matrix_;
  const NumberFormat& format = matrix.spec().format;
  const auto blocks = static_cast<int64_t>(out.size()) / count;
  const bool one = format.granularity.kind == Granularity::Kind::kTensor;
  if (!weight_.all_scales_ || one) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t b = 0; b < blocks; ++b) {
        out[static_cast<size_t>(i * blocks + b)] = matrix.scale(begin + i, b).scale * weight_.unit_;
      }
    }
    return;
  }
  // They stand one after the other, row by row.
  kernels.scales(static_cast<StoredScale>(format.scale_storage),
                 bytes_of_part(matrix, PackedPart::kScales) +
                     begin * blocks * scale_storage_bits(format.scale_storage) / 8,
                 count * blocks, weight_.tensor_scale_ * weight_.unit_, out.data());
}

void MatmulTile::use_stored_codes(int64_t begin, WeightRows& rows) const {
  const PackedMatrix& matrix = weight_.matrix_;
  const bool quads = path() == MatmulPath::kQuads4 || path() == MatmulPath::kQuads8;
  const int64_t kept = quads ? rows.cols / 2 : rows.cols;
  rows.code_bytes = ceil_div(kept * matrix.spec().format.code_bits(), 8);
  rows.code_stride = rows.code_bytes;
  rows.codes = bytes_of_part(matrix, PackedPart::kCodes) + begin * rows.code_stride;
  if (quads) {
    rows.plane_bytes = rows.cols / 32;
    rows.position_stride = 3 * rows.plane_bytes;
    rows.positions = bytes_of_part(matrix, PackedPart::kPositions) + begin * rows.position_stride;
  }
}

// Rows of a bitmask become dense ones: what a few rows take stays in the first-level cache.
void MatmulTile::expand_codes(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                              WeightRows& rows) {
  const PackedMatrix& matrix = weight_.matrix_;
  const bool nibbles = path() == MatmulPath::kNibbles;
  const int64_t per_byte = nibbles ? 2 : 1;
  const auto codes = matrix.part(PackedPart::kCodes);
  const uint8_t* stored = bytes_of_part(matrix, PackedPart::kCodes);
  const std::vector<int64_t>& places = matrix.index().places;
  const int64_t mask_stride = ceil_div(rows.cols, 8);
  rows.code_bytes = rows.code_stride = ceil_div(rows.cols, 64) * 64 / per_byte;
  codes_.resize(static_cast<size_t>(count * rows.code_stride));
  for (int64_t i = 0; i < count; ++i) {
    const auto row = static_cast<size_t>(begin + i);
    const int64_t from = places[row] / per_byte;
    const int64_t bytes = ceil_div(places[row + 1], per_byte) - from;
    const uint8_t* at = stored + from;
    if (static_cast<size_t>(from + bytes + kExpandSlack) > codes.size()) {
      last_codes_.assign(static_cast<size_t>(bytes + kExpandSlack), 0);
      std::copy_n(at, bytes, last_codes_.data());
      at = last_codes_.data();
    }
    const uint8_t* mask =
        bytes_of_part(matrix, PackedPart::kPositions) + static_cast<int64_t>(row) * mask_stride;
    uint8_t* out = codes_.data() + i * rows.code_stride;
    if (nibbles) {
      kernels.expand_nibbles(mask, rows.cols, at, places[row] % 2, out);
    } else {
      kernels.expand_bytes(mask, rows.cols, at, out);
    }
  }
  rows.codes = codes_.data();
}

void MatmulTile::decode_bytes(int64_t begin, int64_t count, WeightRows& rows) {
  const PackedMatrix& matrix = weight_.matrix_;
  const auto cols = static_cast<size_t>(rows.cols);
  rows.code_bytes = rows.code_stride = ceil_div(rows.cols, 64) * 64;
  codes_.assign(static_cast<size_t>(count * rows.code_stride), 0);
  const bool quick = RowCodes::can_read(matrix.spec());
  if (quick && !row_reader_) row_reader_.emplace(matrix);
  for (int64_t i = 0; i < count; ++i) {
    uint8_t* out = codes_.data() + i * rows.code_stride;
    if (quick) {
      row_reader_->read(begin + i, {out, cols});
      replace_codes(weight_.values_, {out, cols});
      continue;
    }
    row_codes_.resize(cols);
    row_keep_.resize(cols);
    matrix.read_row(begin + i, row_codes_, row_keep_);
    for (size_t c = 0; c < cols; ++c) {
      out[c] = row_keep_[c] != 0 ? static_cast<uint8_t>(weight_.values_[row_codes_[c]]) : 0;
    }
  }
  rows.codes = codes_.data();
}

// Values are codes minus shift: what is left of the zero point meets the sum of a block's inputs.
void MatmulTile::correct_zero_points(int64_t begin, int64_t count, Outputs out) {
  const int64_t width = block_width();
  const int64_t blocks = ceil_div(weight_.cols(), width);
  const int64_t sums = x_.padded_ / 32;
  if (group_sums_.empty()) {
    group_sums_.assign(static_cast<size_t>(x_.tokens_ * blocks), 0.0f);
    for (int64_t t = 0; t < x_.tokens_; ++t) {
      for (int64_t i = 0; i * 32 < weight_.cols(); ++i) {
        group_sums_[static_cast<size_t>(t * blocks + i * 32 / width)] +=
            x_.sums_[static_cast<size_t>(t * sums + i)];
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t b = 0; b < blocks; ++b) {
      const BlockScale scale = weight_.matrix_.scale(begin + i, b);
      const float offset =
          scale.scale * weight_.unit_ * static_cast<float>(scale.zero_point - weight_.shift_);
      for (int64_t t = 0; t < x_.tokens_; ++t) {
        out.y[t * out.stride + i] -= offset * group_sums_[static_cast<size_t>(t * blocks + b)];
      }
    }
  }
}

void MatmulTile::multiply(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                          Outputs out) {
  WeightRows rows{.rows = count, .cols = weight_.cols()};
  load_scales(kernels, begin, count, rows);
  std::copy_n(weight_.values_, 16, rows.values);
  rows.two_complement = rows.values[8] == -8 && rows.values[15] == -1;
  const bool stored = weight_.direct_ && path() == weight_.path_;
  if (stored) {
    use_stored_codes(begin, rows);
  } else if (weight_.masked_) {
    expand_codes(kernels, begin, count, rows);
  } else {
    decode_bytes(begin, count, rows);
  }
  const auto records = [&](const PreparedInputs::Records& data, int64_t columns, int64_t bytes) {
    return Int8Records{reinterpret_cast<const uint8_t*>(data.data()), x_.padded_ / columns * bytes,
                       x_.tokens_};
  };
  switch (path()) {
    case MatmulPath::kBytes:
      kernels.bytes(rows, records(x_.natural_, 64, kNaturalRecord), x_.wide_, out);
      break;
    case MatmulPath::kNibbles:
      kernels.nibbles(rows, records(x_.halves_, 64, kHalvesRecord), out);
      break;
    case MatmulPath::kQuads4:
      kernels.quads4(rows, records(x_.quads4_, 128, kQuads4Record), out);
      break;
    case MatmulPath::kQuads8:
      kernels.quads8(rows, records(x_.quads8_, 128, kQuads8Record), out);
      break;
    case MatmulPath::kFloats:
      break;
  }
  if (weight_.zero_points_) correct_zero_points(begin, count, out);
}

}  // namespace scant
