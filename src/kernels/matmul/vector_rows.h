#pragma once

// For ISA files only: internal linkage throughout.
#include <utility>

#include "kernels/matmul/vector_steps.h"

namespace scant {
namespace {

/// Rows times kTokens tokens, one row at a time: a second one would be a second stream to read.
template <typename S, typename Step, int kTokens>
struct RowProduct {
  using F = typename S::F;
  using Block = typename Step::Block;

  struct Row {
    typename Step::Cursor cursor;
    const uint8_t* positions;
    const float* scales;
  };
  struct Inputs {
    const uint8_t* records;
    int64_t stride;  // of tokens
  };

  // Step i, of group `group` of scales. kPer: columns per scale; 0: one for several steps.
  template <int kPer, int kStep>
  static void add(const typename Step::Constants& constants, Row& row, const Inputs& x, int64_t i,
                  int64_t group, const Block& block, F (&total)[kTokens]) {
    const auto decoded =
        Step::template decode<kStep>(constants, row.cursor.at(constants, i), block);
#pragma GCC unroll 2
    for (int v = 0; v < Step::kVectors; ++v) {
      F scale;
      if constexpr (kPer == 0) {
        scale = S::broadcast(row.scales + group);
      } else {
        scale = Step::template weight_scales<kPer>(row.scales + i * (Step::kColumns / kPer), v);
      }
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        const uint8_t* record = x.records + t * x.stride + i * Step::kRecord;
        total[t] = S::fma(S::to_float(Step::sums(decoded, record, v)),
                          S::mul(Step::input_scales(record, v), scale), total[t]);
      }
    }
  }

  template <int kPer>
  static void run(const WeightRows& w, const typename Step::Constants& constants, Row& row,
                  const Inputs& x, F (&total)[kTokens]) {
    const int64_t per_group = kPer == 0 ? w.scale_columns / Step::kColumns : 1;
    int64_t group = 0;
    int64_t inside = 0;  // steps of the group that are done
    const auto step_is_done = [&] {
      if constexpr (kPer == 0) {
        if (++inside < per_group) return;
        inside = 0;
        ++group;
      }
    };
    const int64_t steps = (w.cols + Step::kColumns - 1) / Step::kColumns;
    int64_t i = 0;
    for (; (i + Step::kBlock) * Step::kColumns <= w.cols; i += Step::kBlock) {
      const Block block = Step::block(row.positions + i * Step::kPositionBytes, w.plane_bytes);
      const auto add_all = [&]<int... kStep>(std::integer_sequence<int, kStep...>) {
        ((add<kPer, kStep>(constants, row, x, i + kStep, group, block, total), step_is_done()),
         ...);
      };
      add_all(std::make_integer_sequence<int, static_cast<int>(Step::kBlock)>());
    }
    for (; i < steps; ++i) {
      const Block block = Step::last_block(row.positions + i * Step::kPositionBytes, w.plane_bytes);
      add<kPer, Step::kBlock - 1>(constants, row, x, i, group, block, total);
      step_is_done();
    }
  }

  /// With the columns per scale that there are: one of `kPer` or whole steps.
  template <int kFirst, int... kPer>
  static void run_any(const WeightRows& w, const typename Step::Constants& constants, Row& row,
                      const Inputs& x, F (&total)[kTokens]) {
    if constexpr (kFirst < Step::kColumns) {
      if (w.scale_columns == kFirst) return run<kFirst>(w, constants, row, x, total);
      if constexpr (sizeof...(kPer) > 0) return run_any<kPer...>(w, constants, row, x, total);
    }
    run<0>(w, constants, row, x, total);
  }

  static void all_rows(const WeightRows& w, const Inputs& x, Outputs out) {
    const typename Step::Constants constants(w);
    for (int64_t r = 0; r < w.rows; ++r) {
      Row row = {typename Step::Cursor(w, r), w.positions + r * w.position_stride,
                 w.scales + r * w.scale_stride};
      F total[kTokens];
      for (int t = 0; t < kTokens; ++t) total[t] = S::zero();
      run_any<16, 32, 64, 128>(w, constants, row, x, total);
      for (int t = 0; t < kTokens; ++t) out.y[t * out.stride + r] = S::sum(total[t]);
    }
  }
};

template <typename S, typename Step>
void all_tokens(const WeightRows& w, const Int8Records& x, Outputs out) {
  int64_t t = 0;
  const auto take = [&]<int kTokens>() {
    RowProduct<S, Step, kTokens>::all_rows(w, {x.data + t * x.token_stride, x.token_stride},
                                           {out.y + t * out.stride, out.stride});
    t += kTokens;
  };
  while (t + 4 <= x.tokens) take.template operator()<4>();
  if (t + 2 <= x.tokens) take.template operator()<2>();
  if (t < x.tokens) take.template operator()<1>();
}

}  // namespace
}  // namespace scant
