#include "kernels/matmul/matmul_tile.h"

#include <algorithm>

namespace scant {
namespace {

const uint8_t* bytes_of_part(const PackedMatrix& matrix, PackedPart part) {
  return reinterpret_cast<const uint8_t*>(matrix.part(part).data());
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

MatmulPath MatmulTile::path() const {
  return x_.lowest_ && weight_.path_ == MatmulPath::kQuads8 ? MatmulPath::kBytes : weight_.path_;
}

int64_t MatmulTile::step_columns(const PackedMatmulRow& kernels) const {
  if (few()) return kernels.few(few_path()).inputs->columns;
  return quads() ? 128 : 64;
}

int64_t MatmulTile::decoded_columns(const PackedMatmulRow& kernels) const {
  const int64_t step = std::max<int64_t>(64, step_columns(kernels));  // 64: what decoders write
  return ceil_div(weight_.cols(), step) * step;
}

void MatmulTile::load_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                             WeightRows& rows) {
  const int64_t step = step_columns(kernels);
  const int64_t width = weight_.block_columns();
  const int64_t blocks = ceil_div(rows.cols, width);
  const auto stored = static_cast<size_t>(count * blocks);
  scratch_.blocks.resize(stored + kScaleSlack);
  block_scales(kernels, begin, count, std::span(scratch_.blocks).first(stored));
  std::fill_n(scratch_.blocks.data() + stored, kScaleSlack, 0.0f);
  rows.scales = scratch_.blocks.data();
  rows.scale_stride = blocks;
  rows.scale_columns = weight_.scale_columns(step, few());
  if (blocks == 1 || rows.scale_columns == width) return;
  // Laid out per 32 columns.
  rows.scale_stride = ceil_div(rows.cols, 32);
  scratch_.scales.assign(static_cast<size_t>(count * rows.scale_stride + kScaleSlack), 0.0f);
  float* to = scratch_.scales.data();
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t columns = std::min(width, rows.cols - b * width);
      to = std::fill_n(to, ceil_div(columns, 32), rows.scales[i * blocks + b]);
    }
  }
  rows.scales = scratch_.scales.data();
}

void MatmulTile::block_scales(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                              std::span<float> out) const {
  const PackedMatrix& matrix = weight_.matrix_;
  const NumberFormat& format = matrix.spec().format;
  const auto blocks = static_cast<int64_t>(out.size()) / count;
  const bool one = format.granularity.kind == Granularity::Kind::kTensor;
  if (!weight_.all_scales_ || one) {
    std::vector<BlockScale> scales(static_cast<size_t>(blocks));
    for (int64_t i = 0; i < count; ++i) {
      read_row_scales(matrix, begin + i, scales);
      for (int64_t b = 0; b < blocks; ++b) {
        const auto at = static_cast<size_t>(b);
        out[static_cast<size_t>(i * blocks) + at] = scales[at].scale * weight_.unit_;
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

// Kernels read whole steps. Where the last rows of the matrix do not end with one, the rows are
// copied, so that nothing is read past the end.
void MatmulTile::use_stored_codes(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                                  WeightRows& rows) {
  const PackedMatrix& matrix = weight_.matrix_;
  const int64_t bits = matrix.spec().format.code_bits();
  const int64_t step = step_columns(kernels);
  const int64_t whole = ceil_div(rows.cols, step) * step;
  const int64_t per_code = quads() ? 2 : 1;  // columns
  const int64_t needed = whole / per_code * bits / 8;
  rows.code_stride = ceil_div(rows.cols / per_code * bits, 8);
  if (quads()) {
    rows.plane_bytes = rows.cols / 32;
    rows.position_stride = 3 * rows.plane_bytes;
  }
  const int64_t too_far = needed - rows.code_stride;
  const bool ends = too_far > 0 && (weight_.rows() - begin - count) * rows.code_stride < too_far;
  const auto take = [&](PackedPart part, int64_t stride, std::vector<uint8_t>& copy) {
    const uint8_t* at = bytes_of_part(matrix, part) + begin * stride;
    if (!ends) return at;
    copy.assign(static_cast<size_t>(count * stride + needed), 0);
    std::copy_n(at, count * stride, copy.data());
    return static_cast<const uint8_t*>(copy.data());
  };
  rows.codes = take(PackedPart::kCodes, rows.code_stride, scratch_.codes);
  if (quads()) {
    rows.positions = take(PackedPart::kPositions, rows.position_stride, scratch_.positions);
  }
}

// Masks and codes where they lie; those of the last rows are copied, as kernels read past the end.
void MatmulTile::use_masked_codes(int64_t begin, int64_t count, WeightRows& rows) {
  const PackedMatrix& matrix = weight_.matrix_;
  const int64_t per_byte = few_path() == FewPath::kMaskedNibbles ? 2 : 1;
  rows.position_stride = ceil_div(rows.cols, 8);
  rows.places = matrix.index().places.data() + begin;
  const int64_t first = rows.places[0] / per_byte;
  const auto take = [](std::span<const std::byte> part, int64_t from, int64_t bytes,
                       std::vector<uint8_t>& copy) {
    const auto* at = reinterpret_cast<const uint8_t*>(part.data()) + from;
    if (from + bytes + kMaskedSlack <= static_cast<int64_t>(part.size())) return at;
    copy.assign(static_cast<size_t>(bytes + kMaskedSlack), 0);
    std::copy_n(at, bytes, copy.data());
    return static_cast<const uint8_t*>(copy.data());
  };
  rows.codes = take(matrix.part(PackedPart::kCodes), first,
                    ceil_div(rows.places[count], per_byte) - first, scratch_.codes);
  rows.first_place = first * per_byte;
  rows.positions = take(matrix.part(PackedPart::kPositions), begin * rows.position_stride,
                        count * rows.position_stride, scratch_.positions);
}

// Strings of pieces where they lie; those of the last rows are copied, as kernels read past the
// end.
void MatmulTile::use_pieces(int64_t begin, int64_t count, WeightRows& rows) {
  const auto stored = weight_.matrix_.part(PackedPart::kCodes);
  rows.code_stride = static_cast<int64_t>(stored.size()) / weight_.rows();
  const int64_t end = (begin + count) * rows.code_stride;
  rows.codes = bytes_of_part(weight_.matrix_, PackedPart::kCodes) + begin * rows.code_stride;
  if (end + kPieceSlack <= static_cast<int64_t>(stored.size())) return;
  scratch_.codes.assign(static_cast<size_t>(count * rows.code_stride + kPieceSlack), 0);
  std::copy_n(rows.codes, count * rows.code_stride, scratch_.codes.data());
  rows.codes = scratch_.codes.data();
}

// Rows of a bitmask become dense ones: what a few rows take stays in the first-level cache. Their
// codes stand one after the other; bytes are taken where they lie unless the part ends too soon.
void MatmulTile::expand_codes(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                              WeightRows& rows) {
  const PackedMatrix& matrix = weight_.matrix_;
  const bool nibbles = path() == MatmulPath::kNibbles;
  const int64_t per_byte = nibbles ? 2 : 1;
  const std::vector<int64_t>& places = matrix.index().places;
  const auto place = [&](int64_t row) { return places[static_cast<size_t>(begin + row)]; };
  const int64_t from = place(0) / per_byte;
  const int64_t bytes = ceil_div(place(count), per_byte) - from;
  const uint8_t* codes = bytes_of_part(matrix, PackedPart::kCodes) + from;
  const auto stored = static_cast<int64_t>(matrix.part(PackedPart::kCodes).size());
  if (nibbles || from + bytes + kExpandSlack > stored) {
    const auto needed = static_cast<size_t>(bytes * per_byte + kExpandSlack);
    if (scratch_.stored_codes.size() < needed) scratch_.stored_codes.resize(needed);
    kernels.split(codes, bytes, nibbles ? 4 : 8, scratch_.stored_codes.data());
    codes = scratch_.stored_codes.data();
  }
  const int64_t mask_stride = ceil_div(rows.cols, 8);
  const uint8_t* mask = bytes_of_part(matrix, PackedPart::kPositions) + begin * mask_stride;
  rows.code_stride = decoded_columns(kernels) / per_byte;
  scratch_.codes.resize(static_cast<size_t>(count * rows.code_stride));
  const auto expand = nibbles ? kernels.expand_nibbles : kernels.expand_bytes;
  for (int64_t i = 0; i < count; ++i) {
    expand(mask + i * mask_stride, rows.cols, codes + (place(i) - from * per_byte),
           scratch_.codes.data() + i * rows.code_stride);
  }
  rows.codes = scratch_.codes.data();
}

void MatmulTile::decode_bytes(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                              WeightRows& rows) {
  const PackedMatrix& matrix = weight_.matrix_;
  const auto cols = static_cast<size_t>(rows.cols);
  rows.code_stride = decoded_columns(kernels);
  scratch_.codes.assign(static_cast<size_t>(count * rows.code_stride), 0);
  const bool quick = RowCodes::can_read(matrix.spec());
  if (quick && !row_reader_) row_reader_.emplace(matrix);
  for (int64_t i = 0; i < count; ++i) {
    uint8_t* out = scratch_.codes.data() + i * rows.code_stride;
    if (quick) {
      row_reader_->read(begin + i, {out, cols});
      kernels.replace(weight_.values_, 1 << matrix.spec().format.code_bits(), rows.cols, out);
      continue;
    }
    scratch_.row_codes.resize(cols);
    scratch_.row_keep.resize(cols);
    matrix.read_row(begin + i, scratch_.row_codes, scratch_.row_keep);
    for (size_t c = 0; c < cols; ++c) {
      out[c] = scratch_.row_keep[c] != 0
                   ? static_cast<uint8_t>(weight_.values_[scratch_.row_codes[c]])
                   : 0;
    }
  }
  rows.codes = scratch_.codes.data();
}

// Values are codes minus shift: what is left of the zero point, and an offset, meet the sum of a
// block's inputs.
void MatmulTile::correct_zero_points(int64_t begin, int64_t count, Outputs out) {
  const int64_t width = weight_.block_columns();
  const int64_t blocks = ceil_div(weight_.cols(), width);
  const PreparedInputs::BlockSums& inputs = x_.block_sums(width);
  std::vector<BlockScale> scales(static_cast<size_t>(blocks));
  for (int64_t i = 0; i < count; ++i) {
    read_row_scales(weight_.matrix_, begin + i, scales);
    for (int64_t b = 0; b < blocks; ++b) {
      const BlockScale& scale = scales[static_cast<size_t>(b)];
      const float offset =
          scale.scale * weight_.unit_ * static_cast<float>(scale.zero_point - weight_.shift_) -
          scale.offset;
      for (int64_t t = 0; t < x_.tokens_; ++t) {
        out.y[t * out.stride + i] -=
            offset * inputs.sums[static_cast<size_t>(t * inputs.stride + b)];
      }
    }
  }
}

void MatmulTile::run_few(const PackedMatmulRow& kernels, const WeightRows& rows, Outputs out) {
  const FewPath path = few_path();
  const FewTokens& product = kernels.few(path);
  Int8Records x = {
      .data = reinterpret_cast<const uint8_t*>(x_.records_[static_cast<size_t>(path)].data()),
      .token_stride = x_.padded_ / product.inputs->columns * product.inputs->bytes,
      .tokens = x_.tokens_,
      .lowest = x_.lowest_};
  if (product.reads_sums) {
    const PreparedInputs::BlockSums& inputs = x_.block_sums(rows.scale_columns);
    x.sums = inputs.sums.data();
    x.sum_stride = inputs.stride;
  }
  product.run(rows, x, out);
}

void MatmulTile::run_many(const PackedMatmulRow& kernels, const WeightRows& rows, Outputs out) {
  const int64_t panels = ceil_div(rows.rows, kPanelOutputs);
  uint8_t* scratch = resize_lines<uint8_t>(
      scratch_.panels, panels * kPanelOutputs * ceil_div(rows.cols, 128) * 128 * kPanelScratch);
  const Int8Matrix x = {x_.in_order_.data(), x_.shifted_.data(), x_.scales_.data(), x_.padded_,
                        x_.tokens_};
  switch (path()) {
    case MatmulPath::kBytes:
      return kernels.many_bytes(rows, x, scratch, out);
    case MatmulPath::kNibbles:
      return kernels.many_nibbles(rows, x, scratch, out);
    case MatmulPath::kQuads4:
      return kernels.many_quads4(rows, x, scratch, out);
    case MatmulPath::kQuads8:
      return kernels.many_quads8(rows, x, scratch, out);
    case MatmulPath::kFloats:
      return;
  }
}

void MatmulTile::multiply(const PackedMatmulRow& kernels, int64_t begin, int64_t count,
                          Outputs out) {
  WeightRows rows{.rows = count, .cols = weight_.cols()};
  load_scales(kernels, begin, count, rows);
  rows.code_bits = weight_.matrix_.spec().format.code_bits();
  std::copy_n(weight_.values_, std::size(rows.values), rows.values);
  rows.two_complement = rows.values[8] == -8 && rows.values[15] == -1;
  const bool masked =
      weight_.masked_ && few() &&
      (few_path() == FewPath::kMaskedBytes || few_path() == FewPath::kMaskedNibbles);
  if (weight_.direct_ && path() == weight_.path_) {
    use_stored_codes(kernels, begin, count, rows);
  } else if (masked) {
    use_masked_codes(begin, count, rows);
  } else if (few() && few_path() == FewPath::kPieces) {
    use_pieces(begin, count, rows);
  } else if (weight_.masked_) {
    expand_codes(kernels, begin, count, rows);
  } else {
    decode_bytes(kernels, begin, count, rows);
  }
  few() ? run_few(kernels, rows, out) : run_many(kernels, rows, out);
  if (weight_.zero_points_) correct_zero_points(begin, count, out);
}

}  // namespace scant
