#pragma once

#include <array>
#include <cstdint>

namespace scant {

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
/// SC 2011): a pure function from (key, counter) to four 32-bit numbers, so that a result depends
/// on a value's position and never on the order in which threads reach it.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 2> key, std::array<uint32_t, 4> counter);

/// Stream `stream` of the generator with `seed`, indexed by position.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}
  uint32_t bits(uint64_t index) const;
  /// Uniform in [0, 1), 24 bits.
  float uniform(uint64_t index) const { return static_cast<float>(bits(index) >> 8) * 0x1p-24f; }
  /// Uniform integer in [0, n), n < 2^32, by multiplication (bias below n / 2^32).
  uint32_t below(uint64_t index, uint32_t n) const {
    return static_cast<uint32_t>((static_cast<uint64_t>(bits(index)) * n) >> 32);
  }
  /// Standard normal (Box-Muller).
  float normal(uint64_t index) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

/// FNV-1a of a text: a stable stream number for a tensor's name.
constexpr uint64_t hash_text(const char* text, uint64_t length) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (uint64_t i = 0; i < length; ++i) {
    hash = (hash ^ static_cast<unsigned char>(text[i])) * 0x100000001b3ull;
  }
  return hash;
}

}  // namespace scant
