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

  // Step i. kPer: columns per scale of weights; 0: one for several steps, which `total` leaves out.
  // Part: Step or what does fewer of its columns.
  template <int kPer, int kStep, typename Part = Step>
  static void add(const typename Step::Constants& constants, Row& row, const Int8Records& x,
                  int64_t i, const typename Part::Block& block, F (&total)[kTokens]) {
    const auto decoded =
        Part::template decode<kStep>(constants, row.cursor.at(constants, i), block);
#pragma GCC unroll 2
    for (int v = 0; v < Step::kVectors; ++v) {
      F weight_scale;
      if constexpr (kPer != 0) {
        weight_scale =
            Step::template weight_scales<kPer>(row.scales + i * (Step::kColumns / kPer), v);
      }
#pragma GCC unroll 4
      for (int t = 0; t < kTokens; ++t) {
        const uint8_t* record = x.data + t * x.token_stride + i * Step::kRecord;
        F scale = Step::input_scales(record, v);
        if constexpr (kPer != 0) scale = S::mul(scale, weight_scale);
        total[t] = S::fma(S::to_float(Part::sums(decoded, record, v)), scale, total[t]);
      }
    }
  }

  /// take.operator()<kStep, Part>(i, block) for every step i, step kStep of its block.
  template <typename Take>
  static void for_steps(const WeightRows& w, const Row& row, Take&& take) {
    const int64_t steps = (w.cols + Step::kColumns - 1) / Step::kColumns;
    int64_t i = 0;
    for (; (i + Step::kBlock) * Step::kColumns <= w.cols; i += Step::kBlock) {
      const Block block = Step::block(row.positions + i * Step::kPositionBytes, w.plane_bytes);
      const auto take_all = [&]<int... kStep>(std::integer_sequence<int, kStep...>) {
        (take.template operator()<kStep, Step>(i + kStep, block), ...);
      };
      take_all(std::make_integer_sequence<int, static_cast<int>(Step::kBlock)>());
    }
    for (; i < steps; ++i) {
      const uint8_t* positions = row.positions + i * Step::kPositionBytes;
      if constexpr (requires { typename Step::Short; }) {
        using Short = typename Step::Short;
        if (w.cols - i * Step::kColumns <= Short::kColumns) {
          take.template operator()<0, Short>(i, Short::last_block(positions, w.plane_bytes));
          continue;
        }
      }
      take.template operator()<Step::kBlock - 1, Step>(i,
                                                       Step::last_block(positions, w.plane_bytes));
    }
  }

  /// Scales of a step's columns or fewer.
  template <int kPer>
  static void run(const WeightRows& w, const typename Step::Constants& constants, Row& row,
                  const Int8Records& x, F (&total)[kTokens]) {
    for_steps(w, row, [&]<int kStep, typename Part>(int64_t i, const typename Part::Block& block) {
      add<kPer, kStep, Part>(constants, row, x, i, block, total);
    });
  }

  static void begin_group(F (&group)[kTokens]) {
    for (F& sum : group) sum = S::zero();
  }
  static void end_group(const float* scale, F (&group)[kTokens], F (&total)[kTokens]) {
    const F factor = S::broadcast(scale);
    for (int t = 0; t < kTokens; ++t) total[t] = S::fma(group[t], factor, total[t]);
  }

  /// Scales of so many steps each (0: as many as there are). Without positions no step depends on
  /// where its block begins.
  template <int kSteps>
  static void run_groups(const WeightRows& w, const typename Step::Constants& constants, Row& row,
                         const Int8Records& x, F (&total)[kTokens]) {
    static_assert(Step::kBlock == 1);
    const int64_t steps = (w.cols + Step::kColumns - 1) / Step::kColumns;
    const int64_t per_group = w.scale_columns / Step::kColumns;
    const float* scale = row.scales;
    F group[kTokens];
    for (int64_t i = 0; i < steps; ++scale) {
      begin_group(group);
      if constexpr (kSteps == 1) {
        add<0, 0>(constants, row, x, i++, {}, group);
      } else {
        const int64_t end = i + per_group < steps ? i + per_group : steps;
        for (; i < end; ++i) add<0, 0>(constants, row, x, i, {}, group);
      }
      end_group(scale, group, total);
    }
  }

  /// The same where positions of a block's steps are interleaved: a scale may end inside.
  static void run_groups_of_blocks(const WeightRows& w, const typename Step::Constants& constants,
                                   Row& row, const Int8Records& x, F (&total)[kTokens]) {
    const int64_t per_group = w.scale_columns / Step::kColumns;
    int64_t left = per_group;
    const float* scale = row.scales;
    F group[kTokens];
    begin_group(group);
    for_steps(w, row, [&]<int kStep, typename Part>(int64_t i, const typename Part::Block& block) {
      add<0, kStep, Part>(constants, row, x, i, block, group);
      if (--left > 0) return;
      end_group(scale++, group, total);
      begin_group(group);
      left = per_group;
    });
    if (left < per_group) end_group(scale, group, total);
  }

  /// With the columns per scale that there are: one of `kPer` or whole steps.
  template <int kFirst, int... kPer>
  static void run_any(const WeightRows& w, const typename Step::Constants& constants, Row& row,
                      const Int8Records& x, F (&total)[kTokens]) {
    if constexpr (kFirst * Step::kVectors <= Step::kColumns) {
      if (w.scale_columns == kFirst) return run<kFirst>(w, constants, row, x, total);
      if constexpr (sizeof...(kPer) > 0) return run_any<kPer...>(w, constants, row, x, total);
    }
    if constexpr (Step::kPositionBytes == 0) {
      w.scale_columns == Step::kColumns ? run_groups<1>(w, constants, row, x, total)
                                        : run_groups<0>(w, constants, row, x, total);
    } else {
      run_groups_of_blocks(w, constants, row, x, total);
    }
  }

  /// What weights that are kOffset too large add too much.
  static void take_offset(const float* scales, const float* sums, int64_t groups, F& total) {
    static constexpr float kMinus = -Step::kOffset;
    F too_much = S::zero();
    for (int64_t g = 0; g < groups; g += static_cast<int64_t>(sizeof(F) / sizeof(float))) {
      too_much = S::fma(S::load_floats(scales + g), S::load_floats(sums + g), too_much);
    }
    total = S::fma(too_much, S::broadcast(&kMinus), total);
  }

  static void all_rows(const WeightRows& w, const Int8Records& x, Outputs out) {
    const typename Step::Constants constants(w);
    const int64_t groups = (w.cols + w.scale_columns - 1) / w.scale_columns;
    for (int64_t r = 0; r < w.rows; ++r) {
      Row row = {typename Step::Cursor(w, r), w.positions + r * w.position_stride,
                 w.scales + r * w.scale_stride};
      F total[kTokens];
      for (int t = 0; t < kTokens; ++t) total[t] = S::zero();
      run_any<16, 32, 64, 128>(w, constants, row, x, total);
      for (int t = 0; t < kTokens; ++t) {
        if constexpr (requires { Step::kOffset; }) {
          take_offset(row.scales, x.sums + t * x.sum_stride, groups, total[t]);
        }
        out.y[t * out.stride + r] = S::sum(total[t]);
      }
    }
  }
};

template <typename S, typename Step>
void all_tokens(const WeightRows& w, const Int8Records& x, Outputs out) {
  int64_t t = 0;
  const auto take = [&]<int kTokens>() {
    Int8Records some = x;
    some.data += t * x.token_stride;
    if (x.sums != nullptr) some.sums += t * x.sum_stride;
    RowProduct<S, Step, kTokens>::all_rows(w, some, {out.y + t * out.stride, out.stride});
    t += kTokens;
  };
  while (t + 4 <= x.tokens) take.template operator()<4>();
  if (t + 2 <= x.tokens) take.template operator()<2>();
  if (t < x.tokens) take.template operator()<1>();
}

}  // namespace
}  // namespace scant
