#pragma once

// For ISA files only: internal linkage throughout.
#include <utility>

#include "kernels/matmul/vector_steps.h"

namespace scant {
namespace {

/// Bytes of codes ahead of those in use that are asked for: rows follow each other.
inline constexpr int64_t kPrefetchAhead = 4096;

/// kRows rows times kTokens tokens.
template <typename S, typename Step, int kRows, int kTokens>
struct RowProduct {
  using F = typename S::F;
  using Block = typename Step::Block;

  struct Row {
    const uint8_t* codes;
    const uint8_t* positions;
    const float* scales;
  };

  /// Where the work stands: kRows rows and the step.
  struct Place {
    Row rows[kRows];
    const uint8_t* x;
    int64_t stride;      // of tokens
    int64_t group = 0;   // of the step
    int64_t inside = 0;  // steps of the group that are done
  };

  // kPer: columns per scale; 0: one for several steps.
  template <int kPer, int kStep>
  static void add(const typename Step::Constants& constants, const Place& at, int64_t i,
                  const Block (&blocks)[kRows], F (&total)[kRows][kTokens]) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const Row& row = at.rows[r];
      const uint8_t* codes = row.codes + i * Step::kCodeBytes;
      S::prefetch(codes + kPrefetchAhead);
      const auto decoded = Step::template decode<kStep>(constants, codes, blocks[r]);
#pragma GCC unroll 2
      for (int v = 0; v < Step::kVectors; ++v) {
        F scale;
        if constexpr (kPer == 0) {
          scale = S::broadcast(row.scales + at.group);
        } else {
          scale = Step::template weight_scales<kPer>(row.scales + i * (Step::kColumns / kPer), v);
        }
#pragma GCC unroll 4
        for (int t = 0; t < kTokens; ++t) {
          const uint8_t* record = at.x + t * at.stride + i * Step::kRecord;
          total[r][t] = S::fma(S::to_float(Step::sums(decoded, record, v)),
                               S::mul(Step::input_scales(record, v), scale), total[r][t]);
        }
      }
    }
  }

  template <int kPer>
  static void run(const WeightRows& w, const typename Step::Constants& constants, int64_t first,
                  const uint8_t* x, int64_t stride, F (&total)[kRows][kTokens]) {
    Place at{.x = x, .stride = stride};
    for (int r = 0; r < kRows; ++r) {
      at.rows[r] = {w.codes + (first + r) * w.code_stride,
                    w.positions + (first + r) * w.position_stride,
                    w.scales + (first + r) * w.scale_stride};
    }
    const int64_t per_group = kPer == 0 ? w.group / Step::kColumns : 1;
    const auto step_is_done = [&] {
      if constexpr (kPer == 0) {
        if (++at.inside < per_group) return;
        at.inside = 0;
        ++at.group;
      }
    };
    const int64_t steps = (w.cols + Step::kColumns - 1) / Step::kColumns;
    Block blocks[kRows];
    int64_t i = 0;
    for (; (i + Step::kBlock) * Step::kColumns <= w.cols; i += Step::kBlock) {
      for (int r = 0; r < kRows; ++r) {
        blocks[r] = Step::block(at.rows[r].positions + i * Step::kPositionBytes, w.plane_bytes);
      }
      const auto add_all = [&]<int... kStep>(std::integer_sequence<int, kStep...>) {
        ((add<kPer, kStep>(constants, at, i + kStep, blocks, total), step_is_done()), ...);
      };
      add_all(std::make_integer_sequence<int, static_cast<int>(Step::kBlock)>());
    }
    for (; i < steps; ++i) {
      for (int r = 0; r < kRows; ++r) {
        blocks[r] =
            Step::last_block(at.rows[r].positions + i * Step::kPositionBytes, w.plane_bytes);
      }
      add<kPer, Step::kBlock - 1>(constants, at, i, blocks, total);
      step_is_done();
    }
  }

  static void rows(const WeightRows& w, const typename Step::Constants& constants, int64_t first,
                   const uint8_t* x, int64_t stride, Outputs out) {
    F total[kRows][kTokens];
    for (int r = 0; r < kRows; ++r) {
      for (int t = 0; t < kTokens; ++t) total[r][t] = S::zero();
    }
    switch (w.step) {
      case ScaleStep::kGroup:
        run<0>(w, constants, first, x, stride, total);
        break;
      case ScaleStep::k32:
        run<32>(w, constants, first, x, stride, total);
        break;
      case ScaleStep::k16:
        run<16>(w, constants, first, x, stride, total);
        break;
    }
    for (int t = 0; t < kTokens; ++t) {
      float* y = out.y + t * out.stride + first;
      if constexpr (kRows == 4) {
        const F of_token[4] = {total[0][t], total[1][t], total[2][t], total[3][t]};
        S::store_sums(of_token, y);
      } else {
        for (int r = 0; r < kRows; ++r) y[r] = S::sum(total[r][t]);
      }
    }
  }
};

/// All rows times kTokens tokens, as many rows at a time as registers hold.
template <typename S, typename Step, int kTokens>
void all_rows(const WeightRows& w, const uint8_t* x, int64_t stride, Outputs out) {
  constexpr int kRows = Step::kRows / kTokens > 0 ? Step::kRows / kTokens : 1;
  const typename Step::Constants constants(w);
  int64_t r = 0;
  for (; r + kRows <= w.rows; r += kRows) {
    RowProduct<S, Step, kRows, kTokens>::rows(w, constants, r, x, stride, out);
  }
  for (; r < w.rows; ++r) {
    RowProduct<S, Step, 1, kTokens>::rows(w, constants, r, x, stride, out);
  }
}

template <typename S, typename Step>
void all_tokens(const WeightRows& w, const Int8Records& x, Outputs out) {
  int64_t t = 0;
  const auto take = [&]<int kTokens>() {
    all_rows<S, Step, kTokens>(w, x.data + t * x.token_stride, x.token_stride,
                               {out.y + t * out.stride, out.stride});
    t += kTokens;
  };
  while (t + 4 <= x.tokens) take.template operator()<4>();
  if (t + 2 <= x.tokens) take.template operator()<2>();
  if (t < x.tokens) take.template operator()<1>();
}

}  // namespace
}  // namespace scant
