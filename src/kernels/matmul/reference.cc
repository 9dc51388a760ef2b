#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/dtype.h"
#include "formats/elements/mini_float.h"
#include "formats/layouts/n_of_m.h"
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
  const int64_t per = w.scale_columns;
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

/// An input: the integer and its scale.
struct Input {
  int32_t code;
  float scale;
};

/// `weight` and `input` say what stands at (row, column) and at (token, column).
template <typename WeightAt, typename InputAt>
void products(const WeightRows& w, int64_t tokens, Outputs out, WeightAt&& weight,
              InputAt&& input) {
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < w.rows; ++r) {
      out.y[t * out.stride + r] = row_product(w, r, [&](int64_t c) {
        const Input x = input(t, c);
        return Product{weight(r, c) * x.code, x.scale};
      });
    }
  }
}

/// Which of the two kept weights of its quad column c is, or -1 (formats/layouts/n_of_m.h).
int kept_place(const WeightRows& w, int64_t r, int64_t c) {
  const uint8_t* planes = w.positions + r * w.position_stride;
  const int64_t place = rank_place(c / 4, w.cols / 4);
  int rank = 0;
  for (int64_t bit = 0; bit < 3; ++bit) {
    rank |= (planes[bit * w.plane_bytes + place / 8] >> (place % 8) & 1) << bit;
  }
  if (kRanks[rank][0] == c % 4) return 0;
  return kRanks[rank][1] == c % 4 ? 1 : -1;
}

// What stands at (row, column) of each kind of weights.
auto byte_weights(const WeightRows& w) {
  return [&w](int64_t r, int64_t c) { return as_signed(w.codes[r * w.code_stride + c]); };
}
auto nibble_weights(const WeightRows& w) {
  return [&w](int64_t r, int64_t c) -> int {
    return w.values[w.codes[r * w.code_stride + c / 2] >> (c % 2 * 4) & 15];
  };
}
auto quad4_weights(const WeightRows& w) {
  return [&w](int64_t r, int64_t c) -> int {
    const int place = kept_place(w, r, c);
    if (place < 0) return 0;
    return w.values[w.codes[r * w.code_stride + c / 4] >> (4 * place) & 15];
  };
}
auto quad8_weights(const WeightRows& w) {
  return [&w](int64_t r, int64_t c) {
    const int place = kept_place(w, r, c);
    return place < 0 ? 0 : as_signed(w.codes[r * w.code_stride + c / 4 * 2 + place]);
  };
}

// A few tokens: inputs as records.
const uint8_t* record_of(const Int8Records& x, int64_t token, int64_t index, int64_t bytes) {
  return x.data + token * x.token_stride + index * bytes;
}

void bytes(const WeightRows& w, const Int8Records& x, Outputs out) noexcept {
  products(w, x.tokens, out, byte_weights(w), [&](int64_t t, int64_t c) {
    const uint8_t* record = record_of(x, t, c / 64, kNaturalRecord);
    return Input{as_signed(record[c % 64]), float_at(record + 64, c % 64 / 8)};
  });
}

void nibbles(const WeightRows& w, const Int8Records& x, Outputs out) noexcept {
  products(w, x.tokens, out, nibble_weights(w), [&](int64_t t, int64_t c) {
    const uint8_t* record = record_of(x, t, c / 64, kHalvesRecord);
    return Input{as_signed(record[c % 2 * 32 + c % 64 / 2]), float_at(record + 64, c % 64 / 8)};
  });
}

void quads4(const WeightRows& w, const Int8Records& x, Outputs out) noexcept {
  products(w, x.tokens, out, quad4_weights(w), [&](int64_t t, int64_t c) {
    const uint8_t* record = record_of(x, t, c / 128, kQuads4Record);
    return Input{record[c % 4 * 32 + c % 128 / 4] - 128, float_at(record + 128, c % 128 / 16)};
  });
}

void quads8(const WeightRows& w, const Int8Records& x, Outputs out) noexcept {
  constexpr int64_t kEighthAt[4] = {0, 16, 8, 24};  // where quads 0-7, 8-15, ... of a record stand
  products(w, x.tokens, out, quad8_weights(w), [&](int64_t t, int64_t c) {
    const uint8_t* record = record_of(x, t, c / 128, kQuads8Record);
    const int64_t quad = c % 128 / 4;
    return Input{as_signed(record[c % 4 * 32 + kEighthAt[quad / 8] + quad % 8]),
                 float_at(record + 128, c % 128 / 8)};
  });
}

// Many tokens: inputs in order.
auto wide_inputs(const Int8Matrix& x) {
  return [&x](int64_t t, int64_t c) {
    return Input{x.wide[x.place(x.tokens, x.cols, t, c)], x.scales[(t * x.cols + c) / 32]};
  };
}
auto shifted_inputs(const Int8Matrix& x) {
  return [&x](int64_t t, int64_t c) {
    return Input{x.shifted[x.place(x.tokens, x.cols, t, c)] - 128, x.scales[(t * x.cols + c) / 32]};
  };
}

void many_bytes(const WeightRows& w, const Int8Matrix& x, uint8_t*, Outputs out) noexcept {
  products(w, x.tokens, out, byte_weights(w), wide_inputs(x));
}
void many_nibbles(const WeightRows& w, const Int8Matrix& x, uint8_t*, Outputs out) noexcept {
  products(w, x.tokens, out, nibble_weights(w), shifted_inputs(x));
}
void many_quads4(const WeightRows& w, const Int8Matrix& x, uint8_t*, Outputs out) noexcept {
  products(w, x.tokens, out, quad4_weights(w), shifted_inputs(x));
}
void many_quads8(const WeightRows& w, const Int8Matrix& x, uint8_t*, Outputs out) noexcept {
  products(w, x.tokens, out, quad8_weights(w), wide_inputs(x));
}

template <typename T>
T element_at(const uint8_t* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * static_cast<int64_t>(sizeof value), sizeof value);
  return value;
}

/// Codes of a group of zeros are 0 at any scale.
void quantize_inputs(const float* x, int64_t groups, int8_t* codes, float* scales) noexcept {
  for (int64_t g = 0; g < groups; ++g, x += 32, codes += 32) {
    int32_t largest = 0;  // magnitudes compare as their bits do
    for (int64_t i = 0; i < 32; ++i) {
      largest = std::max(largest, std::bit_cast<int32_t>(x[i]) & 0x7fffffff);
    }
    const float scale = std::bit_cast<float>(largest) / 127.0f;
    const float inverse = scale >= 0x1p-126f ? 1.0f / scale : 0.0f;
    scales[g] = scale;
    for (int64_t i = 0; i < 32; ++i) {
      const float nearest = (x[i] * inverse + 0x1.8p23f) - 0x1.8p23f;
      const float inside = std::min(127.0f, std::max(-127.0f, nearest));  // a NaN is -127
      codes[i] = static_cast<int8_t>(static_cast<int32_t>(inside));
    }
  }
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

void expand_nibbles(const uint8_t* mask, int64_t cols, const uint8_t* codes,
                    uint8_t* out) noexcept {
  std::memset(out, 0, static_cast<size_t>((cols + 1) / 2));
  for (int64_t c = 0; c < cols; ++c) {
    if (kept(mask, c)) out[c / 2] = static_cast<uint8_t>(out[c / 2] | *codes++ << (c % 2 * 4));
  }
}

void expand_bytes(const uint8_t* mask, int64_t cols, const uint8_t* codes, uint8_t* out) noexcept {
  for (int64_t c = 0; c < cols; ++c) out[c] = kept(mask, c) ? *codes++ : 0;
}

/// The 8 / kWidth codes that each byte holds, one byte each.
template <int kWidth>
constexpr auto kCodesOfByte = [] {
  std::array<std::array<uint8_t, 8 / kWidth>, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    for (unsigned i = 0; i < 8 / kWidth; ++i) {
      table[byte][i] = static_cast<uint8_t>(byte >> (i * kWidth) & ((1u << kWidth) - 1u));
    }
  }
  return table;
}();

template <int kWidth>
void split_bytes(const uint8_t* bytes, int64_t count, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    const auto& codes = kCodesOfByte<kWidth>[bytes[i]];
    std::memcpy(out + i * (8 / kWidth), codes.data(), codes.size());
  }
}

void split(const uint8_t* from, int64_t bytes, int width, uint8_t* to) noexcept {
  switch (width) {
    case 1:
      return split_bytes<1>(from, bytes, to);
    case 2:
      return split_bytes<2>(from, bytes, to);
    case 4:
      return split_bytes<4>(from, bytes, to);
    default:
      return split_bytes<8>(from, bytes, to);
  }
}

void join(const uint8_t* pieces, int64_t count, int shift, uint8_t* codes) noexcept {
  for (int64_t i = 0; i < count; ++i) {
    codes[i] = static_cast<uint8_t>(codes[i] | pieces[i] << shift);
  }
}

void replace(const int8_t* table, int, int64_t count, uint8_t* codes) noexcept {
  for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<uint8_t>(table[codes[i]]);
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
                                                {{&kNaturalRecords, bytes},
                                                 {&kHalvesRecords, nibbles},
                                                 {&kQuads4Records, quads4},
                                                 {&kQuads8Records, quads8}},
                                                many_bytes,
                                                many_nibbles,
                                                many_quads4,
                                                many_quads8,
                                                false,
                                                quantize_inputs,
                                                scales,
                                                expand_nibbles,
                                                expand_bytes,
                                                split,
                                                join,
                                                replace,
                                                floats};

}  // namespace scant
