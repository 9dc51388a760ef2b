#include "kernels/matmul/input_records.h"

#include <cstring>

namespace scant {
namespace {

template <typename T>
void put(uint8_t* to, int64_t index, T value) {
  std::memcpy(to + index * static_cast<int64_t>(sizeof value), &value, sizeof value);
}

/// Lanes of `columns` columns each: their scales.
void put_scales(const float* scales, int64_t lanes, int64_t columns, uint8_t* to) {
  for (int64_t lane = 0; lane < lanes; ++lane) put(to, lane, scales[lane * columns / 32]);
}

void natural(const int8_t* codes, const float* scales, uint8_t* record) noexcept {
  std::memcpy(record, codes, 64);
  put_scales(scales, 8, 8, record + 64);
}

void wide_natural(const int8_t* codes, const float* scales, uint8_t* record) noexcept {
  std::memcpy(record, codes, 128);
  put_scales(scales, 32, 4, record + 128);
}

void wide_shifted(const int8_t* codes, const float* scales, uint8_t* record) noexcept {
  for (int64_t i = 0; i < 128; ++i) record[i] = static_cast<uint8_t>(codes[i] + 128);
  put_scales(scales, 4, 32, record + 128);
}

template <int64_t kLanes>
void halves(const int8_t* codes, const float* scales, uint8_t* record) noexcept {
  constexpr int64_t kBytes = 4 * kLanes;
  for (int64_t i = 0; i < kBytes; ++i) {
    record[i] = static_cast<uint8_t>(codes[2 * i]);
    record[kBytes + i] = static_cast<uint8_t>(codes[2 * i + 1]);
  }
  put_scales(scales, kLanes, 8, record + 2 * kBytes);
}

template <int64_t kLanes, int kAdded>
void quads4(const int8_t* codes, const float* scales, uint8_t* record) noexcept {
  constexpr int64_t kBytes = 4 * kLanes;
  for (int64_t q = 0; q < kBytes; ++q) {
    for (int64_t j = 0; j < 4; ++j) {
      record[kBytes * j + q] = static_cast<uint8_t>(codes[4 * q + j] + kAdded);
    }
  }
  put_scales(scales, kLanes, 16, record + 4 * kBytes);
}

template <int64_t kLanes, int kAdded>
void quads8(const int8_t* codes, const float* scales, uint8_t* record) noexcept {
  constexpr int64_t kBytes = 4 * kLanes;
  for (int64_t place = 0; place < kBytes; ++place) {
    // Interleaved with their neighbours, 16 bytes at a time, quads come out in order.
    const int64_t quad = place / 16 * 8 + place % 8 + (place % 16 < 8 ? 0 : kBytes / 2);
    for (int64_t j = 0; j < 4; ++j) {
      record[kBytes * j + place] = static_cast<uint8_t>(codes[4 * quad + j] + kAdded);
    }
  }
  put_scales(scales, 2 * kLanes, 8, record + 4 * kBytes);
}

}  // namespace

const InputRecords kNaturalRecords = {64, kNaturalRecord, natural};
const InputRecords kHalvesRecords = {64, kHalvesRecord, halves<8>};
const InputRecords kQuads4Records = {128, kQuads4Record, quads4<8, 128>};
const InputRecords kQuads8Records = {128, kQuads8Record, quads8<8, 0>};

const InputRecords kWideShiftedRecords = {128, kWideShiftedRecord, wide_shifted};
const InputRecords kWideNaturalRecords = {128, kWideNaturalRecord, wide_natural};
const InputRecords kWideHalvesRecords = {128, kWideHalvesRecord, halves<16>};
const InputRecords kWideQuads4Records = {256, kWideQuads4Record, quads4<16, 0>};
const InputRecords kWideQuads8Records = {256, kWideQuads8Record, quads8<16, 128>};

}  // namespace scant
