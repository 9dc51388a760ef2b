#include "checkpoint/gguf_blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace scant {
namespace {

// Every struct is the layout of one block as it is stored, byte after byte; f16 is little endian.
// "lo" and "hi" are the nibbles of a byte, bits 0-3 and 4-7.
using F16 = std::array<uint8_t, 2>;

float value(F16 bits) { return f16_to_f32(static_cast<uint16_t>(bits[0] | (bits[1] << 8))); }

template <typename Block>
Block load(const std::byte* bytes) {
  static_assert(alignof(Block) == 1);
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

/// |d   |qs: 16 bytes     |   32 values; element j is lo of qs[j], element j + 16 is hi of qs[j]
/// |0  2|2              18|   w = d (q - 8)
struct BlockQ4_0 {
  F16 d;
  std::array<uint8_t, 16> qs;
};
static_assert(sizeof(BlockQ4_0) == 18);

void dequantize_q4_0(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ4_0>(bytes);
  const float d = value(block.d);
  for (size_t j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>((block.qs[j] & 15) - 8);
    out[j + 16] = d * static_cast<float>((block.qs[j] >> 4) - 8);
  }
}

/// |d   |m   |qs: 16 bytes     |   32 values, nibbles as in Q4_0
/// |0  2|2  4|4              20|   w = d q + m
struct BlockQ4_1 {
  F16 d, m;
  std::array<uint8_t, 16> qs;
};
static_assert(sizeof(BlockQ4_1) == 20);

void dequantize_q4_1(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ4_1>(bytes);
  const float d = value(block.d);
  const float m = value(block.m);
  for (size_t j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(block.qs[j] & 15) + m;
    out[j + 16] = d * static_cast<float>(block.qs[j] >> 4) + m;
  }
}

/// |d   |qh: 4 bytes|qs: 16 bytes     |   32 values; q = nibble as in Q4_0, plus 16 times bit j of
/// |0  2|2         6|6              22|   the 32 bits of qh.   w = d (q - 16)
struct BlockQ5_0 {
  F16 d;
  std::array<uint8_t, 4> qh;
  std::array<uint8_t, 16> qs;
};
static_assert(sizeof(BlockQ5_0) == 22);

int fifth_bit(const std::array<uint8_t, 4>& qh, size_t j) {
  return ((qh[j / 8] >> (j % 8)) & 1) << 4;
}

void dequantize_q5_0(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ5_0>(bytes);
  const float d = value(block.d);
  for (size_t j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(((block.qs[j] & 15) | fifth_bit(block.qh, j)) - 16);
    out[j + 16] = d * static_cast<float>(((block.qs[j] >> 4) | fifth_bit(block.qh, j + 16)) - 16);
  }
}

/// |d   |m   |qh: 4 bytes|qs: 16 bytes     |   32 values, q as in Q5_0
/// |0  2|2  4|4         8|8              24|   w = d q + m
struct BlockQ5_1 {
  F16 d, m;
  std::array<uint8_t, 4> qh;
  std::array<uint8_t, 16> qs;
};
static_assert(sizeof(BlockQ5_1) == 24);

void dequantize_q5_1(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ5_1>(bytes);
  const float d = value(block.d);
  const float m = value(block.m);
  for (size_t j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>((block.qs[j] & 15) | fifth_bit(block.qh, j)) + m;
    out[j + 16] = d * static_cast<float>((block.qs[j] >> 4) | fifth_bit(block.qh, j + 16)) + m;
  }
}

/// |d   |qs: 32 bytes                  |   32 values; w = d qs[j], qs signed
/// |0  2|2                           34|
struct BlockQ8_0 {
  F16 d;
  std::array<int8_t, 32> qs;
};
static_assert(sizeof(BlockQ8_0) == 34);

void dequantize_q8_0(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ8_0>(bytes);
  const float d = value(block.d);
  for (size_t j = 0; j < 32; ++j) out[j] = d * static_cast<float>(block.qs[j]);
}

/// The eight 6-bit scales and minima of a 256-block of Q4_K and Q5_K, 12 bytes:
///
///   byte j     (j < 4):  bits 0-5 scale j,            bits 6-7 top bits of scale j + 4
///   byte 4 + j (j < 4):  bits 0-5 minimum j,          bits 6-7 top bits of minimum j + 4
///   byte 8 + j (j < 4):  bits 0-3 low of scale j + 4, bits 4-7 low of minimum j + 4
using PackedScales = std::array<uint8_t, 12>;

struct ScaleAndMinimum {
  float scale;
  float minimum;
};

ScaleAndMinimum scale_and_minimum(const PackedScales& s, size_t j) {
  if (j < 4) return {static_cast<float>(s[j] & 63), static_cast<float>(s[j + 4] & 63)};
  return {static_cast<float>((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4)),
          static_cast<float>((s[j + 4] >> 4) | ((s[j] >> 6) << 4))};
}

/// |scales: 16 bytes|qs: 64 bytes|d    |dmin |   256 values in 16 runs of 16, each with a scale
/// (lo) |0             16|16        80|80 82|82 84|   and a minimum (hi); element j of run r (of 4)
/// of 32 in a half is bits 2r, 2r + 1 of qs[32 half + j].          w = (d scale) q - (dmin minimum)
struct BlockQ2K {
  std::array<uint8_t, 16> scales;
  std::array<uint8_t, 64> qs;
  F16 d, dmin;
};
static_assert(sizeof(BlockQ2K) == 84);

void dequantize_q2_k(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ2K>(bytes);
  const float d = value(block.d);
  const float dmin = value(block.dmin);
  for (size_t run = 0; run < 8; ++run) {
    const uint8_t* qs = block.qs.data() + run / 4 * 32;
    for (size_t j = 0; j < 32; ++j) {
      const uint8_t scale = block.scales[run * 2 + j / 16];
      const float step = d * static_cast<float>(scale & 15);
      const float offset = dmin * static_cast<float>(scale >> 4);
      *out++ = step * static_cast<float>((qs[j] >> (run % 4 * 2)) & 3) - offset;
    }
  }
}

/// |hmask: 32 bytes|qs: 64 bytes|scales: 12 bytes|d      |   256 values, the two low bits as in
/// Q2_K; |0            32|32        96|96           108|108 110|   the third of run r (of 8) is bit
/// r of hmask[j]. Scale b (of 16), six bits: the low four are lo (b < 8) or hi of scales[b % 8],
/// the high two bits 2 (b / 4), 2 (b / 4) + 1 of scales[8 + b % 4].          w = (d (scale - 32))
/// (q - 4)
struct BlockQ3K {
  std::array<uint8_t, 32> hmask;
  std::array<uint8_t, 64> qs;
  PackedScales scales;
  F16 d;
};
static_assert(sizeof(BlockQ3K) == 110);

void dequantize_q3_k(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ3K>(bytes);
  const float d = value(block.d);
  for (size_t run = 0; run < 8; ++run) {
    const uint8_t* qs = block.qs.data() + run / 4 * 32;
    for (size_t j = 0; j < 32; ++j) {
      const size_t b = run * 2 + j / 16;
      const int low = (block.scales[b % 8] >> (b / 8 * 4)) & 15;
      const int high = (block.scales[8 + b % 4] >> (b / 4 * 2)) & 3;
      const float step = d * static_cast<float>((low | high << 4) - 32);
      const int q = ((qs[j] >> (run % 4 * 2)) & 3) | (((block.hmask[j] >> run) & 1) << 2);
      *out++ = step * static_cast<float>(q - 4);
    }
  }
}

/// |d   |dmin|scales: 12 bytes|qs: 128 bytes   |   256 values in 8 runs of 32; runs 2k and 2k + 1
/// |0  2|2  4|4             16|16           144|   are lo and hi of qs[32k .. 32k + 31]
///                                                 w = (d scale) q - (dmin minimum)
struct BlockQ4K {
  F16 d, dmin;
  PackedScales scales;
  std::array<uint8_t, 128> qs;
};
static_assert(sizeof(BlockQ4K) == 144);

void dequantize_q4_k(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ4K>(bytes);
  const float d = value(block.d);
  const float dmin = value(block.dmin);
  for (size_t run = 0; run < 8; ++run) {
    const auto [scale, minimum] = scale_and_minimum(block.scales, run);
    const float step = d * scale;
    const float offset = dmin * minimum;
    const uint8_t* qs = block.qs.data() + run / 2 * 32;
    const unsigned shift = run % 2 * 4;
    for (size_t j = 0; j < 32; ++j) {
      *out++ = step * static_cast<float>((qs[j] >> shift) & 15) - offset;
    }
  }
}

/// |d   |dmin|scales: 12 bytes|qh: 32 bytes|qs: 128 bytes   |   as Q4_K; element j of run r has
/// |0  2|2  4|4             16|16        48|48           176|   its fifth bit in bit r of qh[j]
struct BlockQ5K {
  F16 d, dmin;
  PackedScales scales;
  std::array<uint8_t, 32> qh;
  std::array<uint8_t, 128> qs;
};
static_assert(sizeof(BlockQ5K) == 176);

void dequantize_q5_k(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ5K>(bytes);
  const float d = value(block.d);
  const float dmin = value(block.dmin);
  for (size_t run = 0; run < 8; ++run) {
    const auto [scale, minimum] = scale_and_minimum(block.scales, run);
    const float step = d * scale;
    const float offset = dmin * minimum;
    const uint8_t* qs = block.qs.data() + run / 2 * 32;
    const unsigned shift = run % 2 * 4;
    for (size_t j = 0; j < 32; ++j) {
      const int q = ((qs[j] >> shift) & 15) | (((block.qh[j] >> run) & 1) << 4);
      *out++ = step * static_cast<float>(q) - offset;
    }
  }
}

/// |ql: 128 bytes |qh: 64 bytes |scales: 16 i8|d      |   256 values in two halves of 128, each of
/// |0          128|128       192|192       208|208 210|   64 bytes of ql and 32 bytes of qh.
/// Run r (of 4) of a half holds elements 32r .. 32r + 31; its low four bits are lo (r < 2) or hi
/// of ql[32 (r % 2) + j], its top two bits are bits 2r, 2r + 1 of qh[j].
/// w = (d scale) (q - 32), one scale for 16 values
struct BlockQ6K {
  std::array<uint8_t, 128> ql;
  std::array<uint8_t, 64> qh;
  std::array<int8_t, 16> scales;
  F16 d;
};
static_assert(sizeof(BlockQ6K) == 210);

void dequantize_q6_k(const std::byte* bytes, float* out) {
  const auto block = load<BlockQ6K>(bytes);
  const float d = value(block.d);
  for (size_t run = 0; run < 8; ++run) {
    const size_t half = run / 4;
    const uint8_t* ql = block.ql.data() + half * 64 + run % 2 * 32;
    const uint8_t* qh = block.qh.data() + half * 32;
    const unsigned low_shift = run % 4 / 2 * 4;
    const unsigned high_shift = run % 4 * 2;
    for (size_t j = 0; j < 32; ++j) {
      const int q = ((ql[j] >> low_shift) & 15) | (((qh[j] >> high_shift) & 3) << 4);
      const float step = d * static_cast<float>(block.scales[run * 2 + j / 16]);
      *out++ = step * static_cast<float>(q - 32);
    }
  }
}

/// |qs: 64 bytes|d    |   256 values in two halves of 128, each of 32 bytes of qs; element j of run
/// |0         64|64 66|   r (of 4) of a half is bits 2r, 2r + 1 of qs[32 half + j].   w = d (q - 1)
struct BlockTQ2_0 {
  std::array<uint8_t, 64> qs;
  F16 d;
};
static_assert(sizeof(BlockTQ2_0) == 66);

void dequantize_tq2_0(const std::byte* bytes, float* out) {
  const auto block = load<BlockTQ2_0>(bytes);
  const float d = value(block.d);
  for (size_t run = 0; run < 8; ++run) {
    const uint8_t* qs = block.qs.data() + run / 4 * 32;
    for (size_t j = 0; j < 32; ++j) {
      *out++ = d * static_cast<float>(((qs[j] >> (run % 4 * 2)) & 3) - 1);
    }
  }
}

/// Twice the numbers of E2M1; bit 3 is the sign.
constexpr std::array<int8_t, 16> kDoubleE2M1 = {0, 1,  2,  3,  4,  6,  8,  12,
                                                0, -1, -2, -3, -4, -6, -8, -12};

/// |e   |qs: 16 bytes     |   32 values, nibbles as in Q4_0; w = E2M1(q) 2^(e - 127)
/// |0  1|1              17|
struct BlockMxfp4 {
  uint8_t e;
  std::array<uint8_t, 16> qs;
};
static_assert(sizeof(BlockMxfp4) == 17);

void dequantize_mxfp4(const std::byte* bytes, float* out) {
  const auto block = load<BlockMxfp4>(bytes);
  const float half = std::ldexp(1.0f, block.e - 128);
  for (size_t j = 0; j < 16; ++j) {
    out[j] = half * static_cast<float>(kDoubleE2M1[block.qs[j] & 15]);
    out[j + 16] = half * static_cast<float>(kDoubleE2M1[block.qs[j] >> 4]);
  }
}

constexpr auto kNone = nullptr;

/// Sizes of the types that are not readable are there to name them.
constexpr std::array kTypes = {
    GgufType{0, "F32", 1, 4, DType::kF32, kNone},
    GgufType{1, "F16", 1, 2, DType::kF16, kNone},
    GgufType{30, "BF16", 1, 2, DType::kBF16, kNone},
    GgufType{8, "Q8_0", 32, sizeof(BlockQ8_0), {}, dequantize_q8_0},
    GgufType{2, "Q4_0", 32, sizeof(BlockQ4_0), {}, dequantize_q4_0},
    GgufType{3, "Q4_1", 32, sizeof(BlockQ4_1), {}, dequantize_q4_1},
    GgufType{6, "Q5_0", 32, sizeof(BlockQ5_0), {}, dequantize_q5_0},
    GgufType{7, "Q5_1", 32, sizeof(BlockQ5_1), {}, dequantize_q5_1},
    GgufType{12, "Q4_K", 256, sizeof(BlockQ4K), {}, dequantize_q4_k},
    GgufType{13, "Q5_K", 256, sizeof(BlockQ5K), {}, dequantize_q5_k},
    GgufType{14, "Q6_K", 256, sizeof(BlockQ6K), {}, dequantize_q6_k},
    GgufType{35, "TQ2_0", 256, sizeof(BlockTQ2_0), {}, dequantize_tq2_0},
    GgufType{39, "MXFP4", 32, sizeof(BlockMxfp4), {}, dequantize_mxfp4},
    GgufType{10, "Q2_K", 256, sizeof(BlockQ2K), {}, dequantize_q2_k},
    GgufType{11, "Q3_K", 256, sizeof(BlockQ3K), {}, dequantize_q3_k},
    GgufType{9, "Q8_1", 32, 40, {}, kNone},
    GgufType{15, "Q8_K", 256, 292, {}, kNone},
    GgufType{16, "IQ2_XXS", 256, 66, {}, kNone},
    GgufType{17, "IQ2_XS", 256, 74, {}, kNone},
    GgufType{18, "IQ3_XXS", 256, 98, {}, kNone},
    GgufType{19, "IQ1_S", 256, 50, {}, kNone},
    GgufType{20, "IQ4_NL", 32, 18, {}, kNone},
    GgufType{21, "IQ3_S", 256, 110, {}, kNone},
    GgufType{22, "IQ2_S", 256, 82, {}, kNone},
    GgufType{23, "IQ4_XS", 256, 136, {}, kNone},
    GgufType{24, "I8", 1, 1, DType::kI8, kNone},
    GgufType{25, "I16", 1, 2, DType::kI16, kNone},
    GgufType{26, "I32", 1, 4, DType::kI32, kNone},
    GgufType{27, "I64", 1, 8, DType::kI64, kNone},
    GgufType{28, "F64", 1, 8, DType::kF64, kNone},
    GgufType{29, "IQ1_M", 256, 56, {}, kNone},
    GgufType{34, "TQ1_0", 256, 54, {}, kNone},
    GgufType{40, "NVFP4", 64, 36, {}, kNone},
    GgufType{41, "Q1_0", 128, 18, {}, kNone},
};

constexpr size_t kLongestBlock = 256;
static_assert(std::ranges::max(kTypes, {}, &GgufType::elements).elements == kLongestBlock);

}  // namespace

const GgufType* find_gguf_type(uint32_t id) {
  const auto type = std::ranges::find(kTypes, id, &GgufType::id);
  return type == kTypes.end() ? nullptr : &*type;
}

const GgufType* find_gguf_type(std::string_view name) {
  const auto type = std::ranges::find(kTypes, name, &GgufType::name);
  return type == kTypes.end() ? nullptr : &*type;
}

std::string readable_gguf_types() {
  std::string names;
  for (const GgufType& type : kTypes) {
    if (!type.is_readable()) continue;
    names.append(names.empty() ? "" : ", ").append(type.name);
  }
  return names;
}

void read_gguf_values(const GgufType& type, const std::byte* data, uint64_t first,
                      std::span<float> out) {
  if (type.dtype) {
    widen(data + first * type.bytes, *type.dtype, out);
    return;
  }
  const std::byte* block = data + first / type.elements * type.bytes;
  size_t skip = first % type.elements;
  for (size_t done = 0; done < out.size(); block += type.bytes) {
    const size_t count = std::min<size_t>(type.elements - skip, out.size() - done);
    if (count == type.elements) {
      type.dequantize(block, out.data() + done);
    } else {
      std::array<float, kLongestBlock> whole;
      type.dequantize(block, whole.data());
      std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(skip), count, out.data() + done);
    }
    done += count;
    skip = 0;
  }
}

}  // namespace scant
