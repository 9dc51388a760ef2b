#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/steps_avx512vnni.h"

namespace scant {
namespace {

/// Codes behind a bitmask, 128 columns at a time: the next codes are expanded to where bits of the
/// mask are set, kPruned between them. Stored says where codes stand and how they are read.
template <typename Stored>
struct MaskedCodes {
  using V = __m512i;
  struct Codes {
    V columns[2];
  };
  using Constants = typename Stored::Constants;
  static constexpr int kOffset = Stored::kPruned;

  const uint8_t* codes;
  const uint8_t* mask;
  uint64_t place;  // of the next code

  MaskedCodes(const WeightRows& w, int64_t r)
      : codes(w.codes),
        mask(w.positions + r * w.position_stride),
        place(static_cast<uint64_t>(w.places[r] - w.first_place)) {}

  const uint8_t* next() const { return codes + place / Stored::kPerByte; }

  V expand(const Constants& constants, const uint8_t* bits) {
    uint64_t kept;
    __builtin_memcpy(&kept, bits, sizeof kept);
    asm("" : "+r"(kept));  // loaded once, not for each use
    if (Stored::kPerByte == 1) Int8Avx512Vnni::prefetch_ahead(next());
    // Into a register that has them: the form that writes zeros itself waits, on Zen 4, for what
    // the register held before.
    V columns = Int8Avx512Vnni::set8(Stored::kPruned);
    asm("" : "+v"(columns));
    columns = _mm512_mask_expand_epi8(columns, kept, Stored::values(constants, next(), place));
    place += static_cast<uint64_t>(__builtin_popcountll(kept));
    return columns;
  }

  Codes at(const Constants& constants, int64_t step) {
    const uint8_t* bits = mask + 16 * step;
    if (Stored::kPerByte == 2) Int8Avx512Vnni::prefetch_ahead(next());
    Int8Avx512Vnni::prefetch_positions(bits);
    const V low = expand(constants, bits);
    return {{low, expand(constants, bits + 8)}};
  }
};

struct MaskedBytes {
  using V = __m512i;
  static constexpr uint64_t kPerByte = 1;
  static constexpr int kPruned = 0;
  struct Constants {
    explicit Constants(const WeightRows&) {}
  };
  static V values(const Constants&, const uint8_t* first, uint64_t) {
    return _mm512_loadu_si512(first);
  }
};

/// Numbers that are kPruned larger than their values.
template <NibbleValues kValues>
struct MaskedNibbles {
  using V = __m512i;
  static constexpr uint64_t kPerByte = 2;
  static constexpr int kPruned = nibble_offset(kValues);
  using Constants = NibbleTable<Int8Avx512Vnni, kValues>;

  /// 64 codes of 4 bits in the lower halves of bytes, something else above them.
  static V nibbles(const uint8_t* first, uint64_t place) {
    // Each 64 bits get the 8 codes of 32 bits, and the code after them in case the first is the
    // second of its byte.
    const V overlapping = _mm512_setr_epi32(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8);
    alignas(64) static constexpr uint64_t kShifts[2][8] = {
        {0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400,
         0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400},
        {0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804,
         0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804}};
    const V stored = _mm512_permutexvar_epi32(overlapping, _mm512_loadu_si512(first));
    return _mm512_multishift_epi64_epi8(_mm512_load_si512(kShifts[place & 1]), stored);
  }

  static V values(const Constants& constants, const uint8_t* first, uint64_t place) {
    const V codes = nibbles(first, place);
    if constexpr (kValues == NibbleValues::kTwoComplement) {
      return Int8Avx512Vnni::low_nibbles_plus8(codes);
    }
    // The table repeats every 16 bytes, so that what stands above a code is ignored.
    return _mm512_permutexvar_epi8(codes, constants.table);
  }
};

struct MaskedByteStep : ShiftedSums {
  using Cursor = MaskedCodes<MaskedBytes>;
  using Constants = MaskedBytes::Constants;

  template <int kStep>
  static Decoded decode(const Constants&, const Cursor::Codes& codes, const NoPositions::Block&) {
    return decoded(codes.columns[0], codes.columns[1]);
  }
};

}  // namespace
}  // namespace scant
