#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "kernels/matmul/packed_matmul.h"

namespace scant {
namespace {

constexpr int64_t kGroup = 32;     // columns that share a scale
constexpr int64_t kPadding = 128;  // columns of the largest record

template <typename T>
void put(uint8_t* to, int64_t index, T value) {
  std::memcpy(to + index * static_cast<int64_t>(sizeof value), &value, sizeof value);
}

void natural_record(const int8_t* codes, const float* scales, uint8_t* record) {
  std::memcpy(record, codes, 64);
  for (int64_t lane = 0; lane < 8; ++lane) put(record + 64, lane, scales[lane / 4]);
}

void halves_record(const int8_t* codes, const float* scales, uint8_t* record) {
  for (int64_t i = 0; i < 32; ++i) {
    record[i] = static_cast<uint8_t>(codes[2 * i]);
    record[32 + i] = static_cast<uint8_t>(codes[2 * i + 1]);
  }
  for (int64_t lane = 0; lane < 8; ++lane) {
    int32_t sum = 0;
    for (int64_t i = 0; i < 8; ++i) sum += codes[8 * lane + i];
    put(record + 64, lane, 8 * sum);
    put(record + 96, lane, scales[lane / 4]);
  }
}

void quads4_record(const int8_t* codes, const float* scales, uint8_t* record) {
  for (int64_t q = 0; q < 32; ++q) {
    for (int64_t j = 0; j < 4; ++j) {
      record[32 * j + q] = static_cast<uint8_t>(codes[4 * q + j] + 128);
    }
  }
  for (int64_t lane = 0; lane < 8; ++lane) put(record + 128, lane, scales[lane / 2]);
}

void quads8_record(const int8_t* codes, const float* scales, uint8_t* record) {
  constexpr int64_t kOrder[4] = {0, 16, 8, 24};
  for (int64_t q = 0; q < 32; ++q) {
    const int64_t from = kOrder[q / 8] + q % 8;
    for (int64_t j = 0; j < 4; ++j) {
      record[32 * j + q] = static_cast<uint8_t>(codes[4 * from + j]);
    }
  }
  for (int64_t lane = 0; lane < 16; ++lane) put(record + 128, lane, scales[lane / 4]);
}

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
  padded_ = (cols_ + kPadding - 1) / kPadding * kPadding;
  quantized_ = true;
  wide_ = false;
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
  padded_ = (cols_ + kPadding - 1) / kPadding * kPadding;
  quantized_ = true;
  wide_ = std::ranges::find(codes, int8_t{-128}) != codes.end();
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
  const auto records = [&](int64_t columns, int64_t bytes, auto&& make, CacheLines& lines) {
    const int64_t count = tokens_ * padded_ / columns;
    uint8_t* out = resize_lines<uint8_t>(lines, count * bytes);
    for (int64_t i = 0; i < count; ++i) {
      make(codes_.data() + i * columns, scales_.data() + i * columns / kGroup, out + i * bytes);
    }
  };
  const bool quads8 = reads(readers, MatmulPath::kQuads8);
  if (reads(readers, MatmulPath::kBytes) || (quads8 && wide_)) {
    records(64, kNaturalRecord, natural_record, natural_);
  }
  if (reads(readers, MatmulPath::kNibbles)) records(64, kHalvesRecord, halves_record, halves_);
  if (reads(readers, MatmulPath::kQuads4)) records(128, kQuads4Record, quads4_record, quads4_);
  if (quads8 && !wide_) records(128, kQuads8Record, quads8_record, quads8_);
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

void PreparedInputs::sum_groups() {
  sums_.resize(scales_.size());
  for (size_t i = 0; i < sums_.size(); ++i) {
    int32_t sum = 0;
    for (size_t j = 0; j < kGroup; ++j) sum += codes_[i * kGroup + j];
    sums_[i] = scales_[i] * static_cast<float>(sum);
  }
}

void PreparedInputs::arrange(Readers readers) {
  tokens_ < kMatmulManyTokens ? arrange_few(readers) : arrange_many(readers);
  if (std::ranges::any_of(readers, [](const MatmulWeight* w) { return w->reads_input_sums(); })) {
    sum_groups();
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
