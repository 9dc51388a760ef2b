#pragma once

#include <cstdint>

#include "ops/sparsify/n_of_m_kernels.h"

// The kernels over a vector wrapper V of ops/simd. Internal linkage, for ISA files only.
namespace scant {
namespace {

inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// A value is kept if fewer than n of its group beat it; j beats i if its magnitude is larger, or
// equal and j > i. Magnitudes compare as the integers of their bits, so "j > i decides" is +1.
template <typename V>
struct NOfMVectors {
  using Floats = typename V::Floats;
  using Ints = typename V::Ints;
  static constexpr int64_t kWidth = V::kWidth;
  static constexpr int64_t kLargestGroup = 64;  // beyond it, counting costs more than selecting

  static bool accepts(int64_t, int64_t m) { return m <= kLargestGroup; }

  // Groups of four lanes. That the next lane beats me says that I do not beat it, so the previous
  // lane's comparison needs no second look.
  struct Quads {
    explicit Quads(int64_t) {
      int32_t wins[2][kWidth];
      for (int64_t lane = 0; lane < kWidth; ++lane) {
        wins[0][lane] = lane % 4 < 3;
        wins[1][lane] = lane % 4 < 2;
      }
      next_wins = V::load_ints(wins[0]);
      opposite_wins = V::load_ints(wins[1]);
    }
    // Minus the number of lanes that beat each.
    Ints beaten(Ints keys) const {
      const Ints next = V::greater(V::add(V::template rotate_quads<1>(keys), next_wins), keys);
      const Ints opposite =
          V::greater(V::add(V::template rotate_quads<2>(keys), opposite_wins), keys);
      const Ints previous_is_beaten = V::template rotate_quads<3>(next);
      return V::sub(V::add(next, opposite), V::add(previous_is_beaten, V::set(1)));
    }
    Ints next_wins, opposite_wins;
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

  enum class Write { kPruned, kStreamed, kKeep, kBoth };

  template <Write kWrite>
  static void put(const NOfMRow& row, int64_t i, Floats values, Ints keep) {
    if constexpr (kWrite != Write::kKeep) {
      const Floats kept = V::floats(V::bit_and(V::bits(values), keep));
      if constexpr (kWrite == Write::kStreamed) {
        V::stream(row.pruned + i, kept);
      } else {
        V::store(row.pruned + i, kept);
      }
    }
    if constexpr (kWrite == Write::kKeep || kWrite == Write::kBoth) {
      V::store_bytes(row.keep + i, V::bit_and(keep, V::set(1)));
    }
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

  // Lanes past `count` get key -1, which beats nothing.
  static Ints keys_of(Floats values, Ints inside) {
    const Ints magnitudes = V::bit_and(V::bits(values), V::set(0x7fffffff));
    return V::bit_or(magnitudes, V::bit_and_not(inside, V::set(-1)));
  }

  // Groups that divide the vector: whole vectors, then one part.
  template <typename Groups, Write kWrite>
  static void prune_vectors(const NOfMRow& given) {
    const NOfMRow row = given;  // stores could change the given one, for all the compiler knows
    const Groups groups(row.m);
    const Ints mask = V::set(0x7fffffff), limit = V::set(-row.n);
    int64_t i = 0;
    for (; i + kWidth <= row.count; i += kWidth) {
      V::prefetch(row.prefetch + i);
      const Floats values = V::load(row.values + i);
      const Ints beaten = groups.beaten(V::bit_and(V::bits(values), mask));
      put<kWrite>(row, i, values, V::greater(beaten, limit));
    }
    if (i < row.count) {
      const int64_t count = row.count - i;
      const Floats values = V::load_part(row.values + i, count);
      const Ints beaten = groups.beaten(keys_of(values, V::first_lanes(count)));
      put_part(row, i, count, values, V::greater(beaten, limit));
    }
    if constexpr (kWrite == Write::kStreamed) V::stream_fence();
  }

  template <typename Groups>
  static void prune_groups(const NOfMRow& row) {
    if (row.pruned == nullptr) {
      prune_vectors<Groups, Write::kKeep>(row);
    } else if (row.keep != nullptr) {
      prune_vectors<Groups, Write::kBoth>(row);
    } else if (row.stream) {
      prune_vectors<Groups, Write::kStreamed>(row);
    } else {
      prune_vectors<Groups, Write::kPruned>(row);
    }
  }

  // Any group: each of its values is compared with all lanes. A value beats the lanes of later
  // vectors only if larger, those of earlier ones also if equal.
  struct AnyGroup {
    AnyGroup() {
      int32_t later[kWidth][kWidth];
      for (int64_t j = 0; j < kWidth; ++j) {
        for (int64_t lane = 0; lane < kWidth; ++lane) later[j][lane] = j > lane ? -1 : 0;
        ties[j] = V::load_ints(later[j]);
      }
    }

    // Minus the number of keys that beat each lane of the vector at `first`.
    Ints beaten(const int32_t* keys, int64_t count, int64_t first) const {
      const Ints mine = V::load_ints(keys + first);
      const Ints below = V::add(mine, V::set(-1));
      const int64_t next = smaller(first + kWidth, count);
      Ints sum = V::set(0), other = sum;
      for (int64_t j = 0; j < first; ++j) sum = V::add(sum, V::greater(V::set(keys[j]), mine));
      for (int64_t j = first; j < next; ++j) {
        const Ints bar = V::add(mine, ties[j - first]);
        other = V::add(other, V::greater(V::set(keys[j]), bar));
      }
      for (int64_t j = next; j < count; ++j) sum = V::add(sum, V::greater(V::set(keys[j]), below));
      return V::add(sum, other);
    }
    Ints ties[kWidth];
  };

  // Whole vectors are read and written where the row has room: lanes of the next group keep their
  // values until that group's turn.
  static void prune_group(const AnyGroup& group, const NOfMRow& row, int64_t begin, int64_t count) {
    int32_t keys[kLargestGroup + kWidth];
    for (int64_t i = 0; i < count; i += kWidth) {
      const Ints inside = V::first_lanes(smaller(kWidth, count - i));
      V::store_ints(keys + i, keys_of(load(row, begin + i), inside));
    }
    for (int64_t i = 0; i < count; i += kWidth) {
      const int64_t at = begin + i;
      const Ints outside = V::greater(V::set(0), V::load_ints(keys + i));
      const Ints kept = V::greater(group.beaten(keys, count, i), V::set(-row.n));
      const Ints keep = V::bit_or(kept, outside);
      if (at + kWidth > row.count) {
        put_part(row, at, smaller(count - i, row.count - at), load(row, at), keep);
        continue;
      }
      if (row.pruned != nullptr) put<Write::kPruned>(row, at, load(row, at), keep);
      if (row.keep != nullptr) put<Write::kKeep>(row, at, load(row, at), keep);
    }
  }

  static Floats load(const NOfMRow& row, int64_t i) {
    return i + kWidth <= row.count ? V::load(row.values + i)
                                   : V::load_part(row.values + i, row.count - i);
  }

  static void prune(const NOfMRow& row) {
    if (row.m == 4) {
      prune_groups<Quads>(row);
    } else if (kWidth % row.m == 0) {
      prune_groups<Lanes>(row);
    } else {
      const AnyGroup group;
      for (int64_t begin = 0; begin < row.count; begin += row.m) {
        prune_group(group, row, begin, smaller(row.m, row.count - begin));
      }
    }
  }
};

}  // namespace
}  // namespace scant
