#include <algorithm>

#include "core/error.h"
#include "kernels/matmul/packed_matmul.h"

namespace scant {
namespace {

constexpr int64_t kGroup = 32;  // columns that share a scale

}  // namespace

void PreparedInputs::set_floats(ConstMatrixView x) {
  tokens_ = x.rows;
  cols_ = x.cols;
  quantized_ = false;
  floats_ = x;
}

void PreparedInputs::set_int8(ConstMatrixView x, Readers readers) {
  tokens_ = x.rows;
  cols_ = x.cols;
  padded_ = (cols_ + kRecordPadding - 1) / kRecordPadding * kRecordPadding;
  quantized_ = true;
  lowest_ = false;
  codes_.assign(static_cast<size_t>(tokens_ * padded_), 0);
  scales_.assign(static_cast<size_t>(tokens_ * padded_ / kGroup), 0.0f);
  const PackedMatmulRow& kernels = packed_matmul_row();
  const int64_t whole = cols_ / kGroup;
  for (int64_t t = 0; t < tokens_; ++t) {
    int8_t* codes = codes_.data() + t * padded_;
    float* scales = scales_.data() + t * padded_ / kGroup;
    kernels.quantize_inputs(x.row(t), whole, codes, scales);
    if (whole * kGroup == cols_) continue;
    float last[kGroup] = {};
    std::copy(x.row(t) + whole * kGroup, x.row(t) + cols_, last);
    kernels.quantize_inputs(last, 1, codes + whole * kGroup, scales + whole);
  }
  arrange(readers);
}

void PreparedInputs::set_int8_tokens(std::span<const int8_t> codes, std::span<const float> scales,
                                     Readers readers) {
  tokens_ = static_cast<int64_t>(scales.size());
  if (tokens_ == 0 || codes.size() % scales.size() != 0) {
    throw Error("packed matmul", "codes of " + std::to_string(codes.size()) + " inputs for " +
                                     std::to_string(tokens_) + " scales of tokens");
  }
  cols_ = static_cast<int64_t>(codes.size()) / tokens_;
  padded_ = (cols_ + kRecordPadding - 1) / kRecordPadding * kRecordPadding;
  quantized_ = true;
  lowest_ = std::ranges::find(codes, int8_t{-128}) != codes.end();
  codes_.assign(static_cast<size_t>(tokens_ * padded_), 0);
  scales_.assign(static_cast<size_t>(tokens_ * padded_ / kGroup), 0.0f);
  for (int64_t t = 0; t < tokens_; ++t) {
    std::copy_n(codes.data() + t * cols_, cols_, codes_.data() + t * padded_);
    std::fill_n(scales_.data() + t * padded_ / kGroup, padded_ / kGroup,
                scales[static_cast<size_t>(t)]);
  }
  arrange(readers);
}

int8_t PreparedInputs::code(int64_t token, int64_t col) const {
  return codes_[static_cast<size_t>(token * padded_ + col)];
}

float PreparedInputs::scale(int64_t token, int64_t col) const {
  return scales_[static_cast<size_t>((token * padded_ + col) / kGroup)];
}

namespace {

bool reads(PreparedInputs::Readers readers, MatmulPath path) {
  return std::ranges::any_of(readers, [&](const MatmulWeight* w) { return w->path() == path; });
}

}  // namespace

void PreparedInputs::arrange_few(Readers readers) {
  const PackedMatmulRow& kernels = packed_matmul_row();
  bool read[kFewPaths] = {};
  for (const MatmulWeight* weight : readers) {
    if (const auto path = weight->few_path(lowest_)) read[static_cast<size_t>(*path)] = true;
  }
  for (size_t path = 0; path < kFewPaths; ++path) {
    if (!read[path]) continue;
    const InputRecords& records = *kernels.few_tokens[path].inputs;
    const int64_t count = tokens_ * padded_ / records.columns;
    uint8_t* out = resize_lines<uint8_t>(records_[path], count * records.bytes);
    for (int64_t i = 0; i < count; ++i) {
      records.make(codes_.data() + i * records.columns,
                   scales_.data() + i * records.columns / kGroup, out + i * records.bytes);
    }
  }
}

void PreparedInputs::arrange_many(Readers readers) {
  const auto blocks = [&](auto& out, int added) {
    out.resize(codes_.size());
    for (int64_t t = 0; t < tokens_; ++t) {
      for (int64_t c = 0; c < padded_; c += Int8Matrix::kInputBlock) {
        const int8_t* from = codes_.data() + t * padded_ + c;
        auto* to = out.data() + Int8Matrix::place(tokens_, padded_, t, c);
        const int64_t count = Int8Matrix::block_cols(padded_, c);
        for (int64_t i = 0; i < count; ++i) {
          to[i] = static_cast<std::decay_t<decltype(*to)>>(from[i] + added);
        }
      }
    }
  };
  const bool bytes = reads(readers, MatmulPath::kBytes) || reads(readers, MatmulPath::kQuads8);
  const bool nibbles = reads(readers, MatmulPath::kNibbles) || reads(readers, MatmulPath::kQuads4);
  const bool all_shifted = packed_matmul_row().many_bytes_shifted;
  if (bytes && !all_shifted) blocks(in_order_, 0);
  if (nibbles || (bytes && all_shifted)) blocks(shifted_, 128);
}

void PreparedInputs::add_block_sums(int64_t width) {
  for (size_t i = 0; i < block_widths_; ++i) {
    if (block_sums_[i].width == width) return;
  }
  if (block_widths_ == block_sums_.size()) block_sums_.emplace_back();
  BlockSums& made = block_sums_[block_widths_++];
  made.width = width;
  made.stride = (cols_ + width - 1) / width + kScaleSlack;
  made.sums.assign(static_cast<size_t>(tokens_ * made.stride), 0.0f);
  constexpr int64_t kRun = 16;  // columns that share a scale and a block
  for (int64_t t = 0; t < tokens_; ++t) {
    const int8_t* codes = codes_.data() + t * padded_;
    const float* scales = scales_.data() + t * padded_ / kGroup;
    float* block = made.sums.data() + t * made.stride;
    for (int64_t begin = 0; begin < cols_; begin += width, ++block) {
      for (int64_t c = begin; c < std::min(begin + width, cols_); c += kRun) {
        int32_t sum = 0;
        for (int64_t i = 0; i < kRun; ++i) sum += codes[c + i];
        *block += scales[c / kGroup] * static_cast<float>(sum);
      }
    }
  }
}

const PreparedInputs::BlockSums& PreparedInputs::block_sums(int64_t width) const {
  return *std::ranges::find(block_sums_, width, &BlockSums::width);
}

void PreparedInputs::arrange(Readers readers) {
  const bool few = tokens_ < kMatmulManyTokens;
  few ? arrange_few(readers) : arrange_many(readers);
  block_widths_ = 0;
  for (const MatmulWeight* weight : readers) {
    if (weight->has_zero_points()) add_block_sums(weight->block_columns());
    const auto path = weight->few_path(lowest_);
    if (!few || !path) continue;
    const FewTokens& product = packed_matmul_row().few(*path);
    if (product.reads_sums) add_block_sums(weight->scale_columns(product.inputs->columns, few));
  }
  if (!reads(readers, MatmulPath::kFloats)) return;
  values_ = Matrix(tokens_, cols_);
  for (int64_t t = 0; t < tokens_; ++t) {
    for (int64_t c = 0; c < cols_; ++c) {
      values_(t, c) = static_cast<float>(code(t, c)) * scale(t, c);
    }
  }
}

}  // namespace scant
