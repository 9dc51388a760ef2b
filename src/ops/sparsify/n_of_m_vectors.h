#pragma once

#include <cstdint>

#include "ops/sparsify/n_of_m_kernels.h"

// The kernels over a vector wrapper V of ops/simd. Internal linkage, for ISA files only.
namespace scant {
namespace {

// A value is kept if fewer than n of its group beat it; j beats i if its magnitude is larger, or
// equal and j > i. Magnitudes compare as the integers of their bits, so "j > i decides" is +1.
template <typename V>
struct NOfMVectors {
  using Floats = typename V::Floats;
  using Ints = typename V::Ints;
  static constexpr int64_t kWidth = V::kWidth;
  static constexpr int64_t kLargestGroup = 64;  // beyond it, counting costs more than selecting

  static bool accepts(int64_t, int64_t m) { return m <= kLargestGroup; }

  // Groups of four lanes.
  struct Quads {
    explicit Quads(int64_t) {
      int32_t wins[3][kWidth];
      for (int64_t lane = 0; lane < kWidth; ++lane) {
        for (int64_t step = 1; step < 4; ++step) wins[step - 1][lane] = lane % 4 + step < 4;
      }
      for (int step = 0; step < 3; ++step) ties[step] = V::load_ints(wins[step]);
    }
    // Minus the number of lanes that beat each.
    Ints beaten(Ints keys) const {
      const Ints one = V::greater(V::add(V::template rotate_quads<1>(keys), ties[0]), keys);
      const Ints two = V::greater(V::add(V::template rotate_quads<2>(keys), ties[1]), keys);
      const Ints three = V::greater(V::add(V::template rotate_quads<3>(keys), ties[2]), keys);
      return V::add(one, V::add(two, three));
    }
    Ints ties[3];
  };

  // Groups of 2, 8 or 16 lanes: any power of two that divides the width.
  struct Lanes {
    explicit Lanes(int64_t m) : steps(m - 1) {
      int32_t from[kWidth], wins[kWidth];
      for (int64_t step = 1; step < m; ++step) {
        for (int64_t lane = 0; lane < kWidth; ++lane) {
          from[lane] = static_cast<int32_t>(lane / m * m + (lane + step) % m);
          wins[lane] = lane % m + step < m;
        }
        orders[step - 1] = V::load_ints(from);
        ties[step - 1] = V::load_ints(wins);
      }
    }
    Ints beaten(Ints keys) const {
      Ints sum = V::set(0);
      for (int64_t step = 0; step < steps; ++step) {
        const Ints other = V::add(V::permute(keys, orders[step]), ties[step]);
        sum = V::add(sum, V::greater(other, keys));
      }
      return sum;
    }
    int64_t steps;
    Ints orders[kWidth - 1], ties[kWidth - 1];
  };

  template <bool kStream>
  static void put(const NOfMRow& row, int64_t i, Floats values, Ints keep) {
    if (row.pruned != nullptr) {
      const Floats kept = V::floats(V::bit_and(V::bits(values), keep));
      if constexpr (kStream) {
        V::stream(row.pruned + i, kept);
      } else {
        V::store(row.pruned + i, kept);
      }
    }
    if (row.keep != nullptr) V::store_bytes(row.keep + i, V::bit_and(keep, V::set(1)));
  }

  static void put_part(const NOfMRow& row, int64_t i, int64_t count, Floats values, Ints keep) {
    if (row.pruned != nullptr) {
      V::store_part(row.pruned + i, V::floats(V::bit_and(V::bits(values), keep)), count);
    }
    if (row.keep != nullptr) {
      uint8_t bytes[kWidth];
      V::store_bytes(bytes, V::bit_and(keep, V::set(1)));
      for (int64_t j = 0; j < count; ++j) row.keep[i + j] = bytes[j];
    }
  }

  // Lanes past the end get key -1, which beats nothing.
  static Ints keys_of(Floats values, int64_t count) {
    const Ints inside = V::first_lanes(count);
    const Ints magnitudes = V::bit_and(V::bits(values), V::set(0x7fffffff));
    return V::bit_or(magnitudes, V::bit_and_not(inside, V::set(-1)));
  }

  // Groups that divide the vector: whole vectors, then one part.
  template <typename Groups, bool kStream>
  static void prune_vectors(const NOfMRow& row) {
    const Groups groups(row.m);
    const Ints mask = V::set(0x7fffffff), limit = V::set(-row.n);
    int64_t i = 0;
    for (; i + kWidth <= row.count; i += kWidth) {
      V::prefetch(row.prefetch + i);
      const Floats values = V::load(row.values + i);
      const Ints beaten = groups.beaten(V::bit_and(V::bits(values), mask));
      put<kStream>(row, i, values, V::greater(beaten, limit));
    }
    if (i < row.count) {
      const int64_t count = row.count - i;
      const Floats values = V::load_part(row.values + i, count);
      const Ints beaten = groups.beaten(keys_of(values, count));
      put_part(row, i, count, values, V::greater(beaten, limit));
    }
    if constexpr (kStream) V::stream_fence();
  }

  // Any group: each of its values is compared with all lanes.
  static void prune_group(const NOfMRow& row, int64_t begin, int64_t count) {
    int32_t keys[kLargestGroup + kWidth];
    int32_t index[kWidth];
    for (int64_t lane = 0; lane < kWidth; ++lane) index[lane] = static_cast<int32_t>(lane);
    const Ints first = V::load_ints(index);
    for (int64_t i = 0; i < count; i += kWidth) {
      const int64_t part = count - i < kWidth ? count - i : kWidth;
      V::store_ints(keys + i, keys_of(V::load_part(row.values + begin + i, part), part));
    }
    for (int64_t i = 0; i < count; i += kWidth) {
      const int64_t part = count - i < kWidth ? count - i : kWidth;
      const Ints lane = V::add(first, V::set(static_cast<int32_t>(i)));
      const Ints mine = V::load_ints(keys + i);
      Ints beaten = V::set(0);
      for (int64_t j = 0; j < count; ++j) {
        const Ints tie = V::greater(V::set(static_cast<int32_t>(j)), lane);  // -1 where j > lane
        beaten = V::add(beaten, V::greater(V::set(keys[j]), V::add(mine, tie)));
      }
      const Ints keep = V::greater(beaten, V::set(-row.n));
      put_part(row, begin + i, part, V::load_part(row.values + begin + i, part), keep);
    }
  }

  template <typename Groups>
  static void prune_groups(const NOfMRow& row) {
    if (row.stream) {
      prune_vectors<Groups, true>(row);
    } else {
      prune_vectors<Groups, false>(row);
    }
  }

  static void prune(const NOfMRow& row) {
    if (row.m == 4) {
      prune_groups<Quads>(row);
    } else if (kWidth % row.m == 0) {
      prune_groups<Lanes>(row);
    } else {
      for (int64_t begin = 0; begin < row.count; begin += row.m) {
        prune_group(row, begin, row.count - begin < row.m ? row.count - begin : row.m);
      }
    }
  }
};

}  // namespace
}  // namespace scant
