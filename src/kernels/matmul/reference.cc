#include <cmath>
#include <cstring>

#include "core/dtype.h"
#include "formats/elements/mini_float.h"
#include "kernels/matmul/rows.h"

namespace scant {
namespace {

constexpr int kRanks[8][2] = {{0, 1}, {0, 2}, {1, 2}, {0, 3}, {1, 3}, {2, 3}, {0, 0}, {0, 0}};

float float_at(const uint8_t* bytes, int64_t index) {
  float value;
  std::memcpy(&value, bytes + 4 * index, sizeof value);
  return value;
}

int as_signed(uint8_t byte) { return static_cast<int8_t>(byte); }

// Integer c of a row, and the code and scale of column c of the inputs.
struct Product {
  int32_t value;
  float scale;
};

/// sum over runs of columns that share both scales of (exact integer sum) x both scales.
template <typename At>
float row_product(const WeightRows& w, int64_t r, At&& at) {
  const int64_t per = w.step == ScaleStep::kGroup ? w.group : w.step == ScaleStep::k32 ? 32 : 16;
  const int64_t run = per < 32 ? per : 32;
  const float* scales = w.scales + r * w.scale_stride;
  float total = 0;
  for (int64_t c = 0; c < w.cols; c += run) {
    int32_t sum = 0;
    float scale = 0;
    for (int64_t i = c; i < c + run && i < w.cols; ++i) {
      const Product product = at(i);
      sum += product.value;
      scale = product.scale;
    }
    total += static_cast<float>(sum) * scale * scales[c / per];
  }
  return total;
}

template <typename At>
void products(const WeightRows& w, const Int8Records& x, Outputs out, At&& at) {
  for (int64_t t = 0; t < x.tokens; ++t) {
    const uint8_t* inputs = x.data + t * x.token_stride;
    for (int64_t r = 0; r < w.rows; ++r) {
      const uint8_t* codes = w.codes + r * w.code_stride;
      out.y[t * out.stride + r] =
          row_product(w, r, [&](int64_t c) { return at(inputs, codes, r, c); });
    }
  }
}

void bytes(const WeightRows& w, const Int8Records& x, bool, Outputs out) noexcept {
  products(w, x, out, [](const uint8_t* inputs, const uint8_t* codes, int64_t, int64_t c) {
    const uint8_t* record = inputs + c / 64 * kNaturalRecord;
    return Product{as_signed(codes[c]) * as_signed(record[c % 64]),
                   float_at(record + 64, c % 64 / 8)};
  });
}

void nibbles(const WeightRows& w, const Int8Records& x, Outputs out) noexcept {
  products(w, x, out, [&](const uint8_t* inputs, const uint8_t* codes, int64_t, int64_t c) {
    const uint8_t* record = inputs + c / 64 * kHalvesRecord;
    const int code = codes[c / 2] >> (c % 2 * 4) & 15;
    return Product{w.values[code] * as_signed(record[c % 2 * 32 + c % 64 / 2]),
                   float_at(record + 96, c % 64 / 8)};
  });
}

/// Which of the two kept weights of its quad column c is, or -1.
int kept_place(const WeightRows& w, int64_t r, int64_t c) {
  const uint8_t* planes = w.positions + r * w.position_stride;
  const int64_t quad = c / 4;
  int rank = 0;
  for (int64_t bit = 0; bit < 3; ++bit) {
    rank |= (planes[bit * w.plane_bytes + quad / 8] >> (quad % 8) & 1) << bit;
  }
  if (kRanks[rank][0] == c % 4) return 0;
  return kRanks[rank][1] == c % 4 ? 1 : -1;
}

void quads4(const WeightRows& w, const Int8Records& x, Outputs out) noexcept {
  products(w, x, out, [&](const uint8_t* inputs, const uint8_t* codes, int64_t r, int64_t c) {
    const uint8_t* record = inputs + c / 128 * kQuads4Record;
    const int place = kept_place(w, r, c);
    const int value = place < 0 ? 0 : w.values[codes[c / 4] >> (4 * place) & 15];
    return Product{value * (record[c % 4 * 32 + c % 128 / 4] - 128),
                   float_at(record + 128, c % 128 / 16)};
  });
}

void quads8(const WeightRows& w, const Int8Records& x, Outputs out) noexcept {
  constexpr int64_t kEighthAt[4] = {0, 16, 8, 24};  // where quads 0-7, 8-15, ... of a record stand
  products(w, x, out, [&](const uint8_t* inputs, const uint8_t* codes, int64_t r, int64_t c) {
    const uint8_t* record = inputs + c / 128 * kQuads8Record;
    const int place = kept_place(w, r, c);
    const int value = place < 0 ? 0 : as_signed(codes[c / 4 * 2 + place]);
    const int64_t quad = c % 128 / 4;
    return Product{value * as_signed(record[c % 4 * 32 + kEighthAt[quad / 8] + quad % 8]),
                   float_at(record + 128, c % 128 / 8)};
  });
}

template <typename T>
T element_at(const uint8_t* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * static_cast<int64_t>(sizeof value), sizeof value);
  return value;
}

void scales(StoredScale type, const uint8_t* from, int64_t count, float factor,
            float* to) noexcept {
  static const MiniFloat e4m3(4, 3, 1);
  for (int64_t i = 0; i < count; ++i) {
    switch (type) {
      case StoredScale::kF32:
        to[i] = factor * float_at(from, i);
        break;
      case StoredScale::kBF16:
        to[i] = factor * bf16_to_f32(element_at<uint16_t>(from, i));
        break;
      case StoredScale::kF16:
        to[i] = factor * f16_to_f32(element_at<uint16_t>(from, i));
        break;
      case StoredScale::kE8M0:
        to[i] = factor * std::ldexp(1.0f, from[i] - 127);
        break;
      case StoredScale::kE4M3:
        to[i] = factor * e4m3.value(from[i]);
        break;
    }
  }
}

bool kept(const uint8_t* mask, int64_t c) { return (mask[c / 8] >> (c % 8) & 1) != 0; }

void expand_nibbles(const uint8_t* mask, int64_t cols, const uint8_t* codes, int64_t first,
                    uint8_t* out) noexcept {
  std::memset(out, 0, static_cast<size_t>((cols + 1) / 2));
  for (int64_t c = 0; c < cols; ++c) {
    if (!kept(mask, c)) continue;
    const int code = codes[first / 2] >> (first % 2 * 4) & 15;
    out[c / 2] = static_cast<uint8_t>(out[c / 2] | code << (c % 2 * 4));
    ++first;
  }
}

void expand_bytes(const uint8_t* mask, int64_t cols, const uint8_t* codes, uint8_t* out) noexcept {
  for (int64_t c = 0; c < cols; ++c) out[c] = kept(mask, c) ? *codes++ : 0;
}

void floats(const float* w, int64_t rows, int64_t cols, int64_t w_stride, const float* x,
            int64_t tokens, int64_t x_stride, Outputs out) noexcept {
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < rows; ++r) {
      float sum = 0;
      for (int64_t c = 0; c < cols; ++c) sum += w[r * w_stride + c] * x[t * x_stride + c];
      out.y[t * out.stride + r] = sum;
    }
  }
}

}  // namespace

const PackedMatmulRow kPackedMatmulReference = {"packed_matmul__reference",
                                                bytes,
                                                nibbles,
                                                quads4,
                                                quads8,
                                                scales,
                                                expand_nibbles,
                                                expand_bytes,
                                                floats};

}  // namespace scant
