#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/steps_avx512vnni.h"

namespace scant {
namespace {

/// How codes behind a bitmask are stored.
enum class MaskedKind : uint8_t { kBytes, kTwoComplement, kTable };

/// Codes behind a bitmask, 64 columns at a time: the next codes are expanded to where bits of the
/// mask are set, zeros between them.
template <MaskedKind kKind>
struct MaskedCodes {
  using V = __m512i;
  using Codes = V;

  const uint8_t* codes;
  const uint8_t* mask;
  uint64_t place;  // of the next code

  struct Constants {
    V table;
    explicit Constants(const WeightRows& w) : table(Int8Avx512Vnni::table(w.values)) {}
  };

  MaskedCodes(const WeightRows& w, int64_t r)
      : codes(w.codes),
        mask(w.positions + r * w.position_stride),
        place(static_cast<uint64_t>(w.places[r] - w.first_place)) {}

  const uint8_t* first() const { return codes + (kKind == MaskedKind::kBytes ? place : place / 2); }

  /// 64 codes of 4 bits in the lower halves of bytes.
  V nibbles() const {
    // Each 64 bits get the 8 codes of 32 bits, and the code after them in case the first is the
    // second of its byte.
    const V overlapping = _mm512_setr_epi32(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8);
    alignas(64) static constexpr uint64_t kShifts[2][8] = {
        {0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400,
         0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400, 0x1c1814100c080400},
        {0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804,
         0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804, 0x201c1814100c0804}};
    const V stored = _mm512_permutexvar_epi32(overlapping, _mm512_loadu_si512(first()));
    return _mm512_multishift_epi64_epi8(_mm512_load_si512(kShifts[place & 1]), stored);
  }

  V values(const Constants& constants) const {
    if constexpr (kKind == MaskedKind::kBytes) return _mm512_loadu_si512(first());
    if constexpr (kKind == MaskedKind::kTwoComplement) {
      constexpr int k0 = 0xf0, k1 = 0xcc, k2 = 0xaa;  // what the instruction calls its operands
      const V eight = _mm512_set1_epi8(8);
      return _mm512_sub_epi8(
          _mm512_ternarylogic_epi64(nibbles(), eight, _mm512_set1_epi8(15), (k0 ^ k1) & k2), eight);
    }
    // The table repeats every 16 bytes, so that what stands above a code is ignored.
    return _mm512_permutexvar_epi8(nibbles(), constants.table);
  }

  Codes at(const Constants& constants, int64_t step) {
    uint64_t kept;
    __builtin_memcpy(&kept, mask + 8 * step, sizeof kept);
    if (kKind == MaskedKind::kBytes || step % 4 == 0) Int8Avx512Vnni::prefetch_ahead(first());
    if (step % 8 == 0) Int8Avx512Vnni::prefetch_positions(mask + 8 * step);
    // Into a register of zeros: the form that writes zeros itself waits, on Zen 4, for what the
    // register held before.
    V zeros = _mm512_setzero_si512();
    asm("" : "+v"(zeros));
    const V columns = _mm512_mask_expand_epi8(zeros, kept, values(constants));
    place += static_cast<uint64_t>(__builtin_popcountll(kept));
    return columns;
  }
};

template <MaskedKind kKind>
struct MaskedStep : NoPositions, ShiftedSums {
  using Cursor = MaskedCodes<kKind>;
  using Constants = typename Cursor::Constants;

  template <int kStep>
  static Decoded decode(const Constants&, V columns, const NoPositions::Block&) {
    return decoded(columns);
  }
};

}  // namespace
}  // namespace scant
