#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/panel_layout.h"

namespace scant {
namespace {

/// Products with many tokens by dot products of four bytes: unsigned inputs, 128 too large, with
/// signed weights of any size. Sums begin at what the 128 would add, negated.
template <typename Line, int kRun_>
struct VnniPanelProduct {
  static constexpr int64_t kRun = kRun_, kLanes = kPanelOutputs;
  using Layout = PanelLayout<Line, kRun_>;
  using V = __m512i;
  static constexpr int64_t kPanels = 2;  // share what is broadcast of the inputs
  // At a time: what the registers hold with kPanels sums each, or integer and float sums.
  static constexpr int kTokens = 8, kTokensOfGroups = Line::kPicks ? 5 : 6;
  static_assert(kLanes * 4 == sizeof(V));

  static V load(const void* p) { return _mm512_loadu_si512(p); }

  // As an instruction: GCC 12 gives every sum a new register and runs out of them.
  static void add(V& sum, V x, V w) { asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w)); }

  static void lay_out(const Layout& layout, const WeightRows& w, int64_t first,
                      const Panel& panel) {
    layout.lay_out(w, first, panel);
    const V x = _mm512_set1_epi8(-128);
    const uint32_t* codes = panel.codes;
    for (int64_t run = 0; run < layout.runs; ++run) {
      V sum = _mm512_setzero_si512();
      for (int64_t s = 0; s < Layout::kSteps; ++s, codes += Layout::kStepDwords) {
        add(sum, x, load(codes));
      }
      _mm512_storeu_si512(panel.corrections + run * kLanes,
                          _mm512_sub_epi32(_mm512_setzero_si512(), sum));
    }
  }

  static V broadcast(const uint8_t* inputs) {
    if constexpr (Line::kColumns == 4) {
      int32_t four;
      __builtin_memcpy(&four, inputs, sizeof four);
      return _mm512_set1_epi32(four);
    } else {
      static_assert(Line::kColumns == 8);
      int64_t eight;
      __builtin_memcpy(&eight, inputs, sizeof eight);
      return _mm512_set1_epi64(eight);
    }
  }
  static V pick(V x, const uint32_t* picks) {
    if constexpr (Line::kPicks) return _mm512_shuffle_epi8(x, load(picks));
    return x;
  }

  /// Codes of kCount panels on their way through the columns.
  template <int kCount>
  struct Codes {
    const uint32_t* at[kCount];
    void advance() {
      for_each_index<kCount>([&](auto p)
                                 __attribute__((always_inline)) { at[p] += Layout::kStepDwords; });
    }
  };

  /// Sums of one run; `x` moves on to the next one.
  template <int kCount, int kTokens>
  [[gnu::always_inline]] static void add_run(Codes<kCount>& codes, const uint8_t*& x,
                                             int64_t x_stride, V (&sum)[kCount][kTokens]) {
#pragma GCC unroll 2
    for (int64_t s = 0; s < Layout::kSteps; ++s) {
      V w[kCount];
      for_each_index<kCount>([&](auto p)
                                 __attribute__((always_inline)) { w[p] = load(codes.at[p]); });
      for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) {
        const V x_t = broadcast(x + t * x_stride);
        for_each_index<kCount>([&](auto p) __attribute__((always_inline)) {
          add(sum[p][t], pick(x_t, codes.at[p] + kLanes), w[p]);
        });
      });
      x += Line::kColumns;
      codes.advance();
    }
  }

  /// What a tile of kCount panels and kTokens tokens has on its way through the columns.
  template <int kCount, int kTokens>
  struct Tile {
    using Sums = V[kCount][kTokens];
    using Totals = __m512[kCount][kTokens];

    const Panel (&panels)[kCount];
    Codes<kCount> codes;
    const uint8_t* x;
    const float* x_scales;
    int64_t x_stride, scale_stride;

    Tile(const Panel (&of)[kCount], int64_t begin, const Int8Matrix& inputs, int64_t token)
        : panels(of),
          x(inputs.shifted + inputs.place(inputs.tokens, inputs.cols, token, begin * kRun)),
          x_scales(inputs.scales + token * (inputs.cols / 32)),
          x_stride(inputs.block_cols(inputs.cols, begin * kRun)),
          scale_stride(inputs.cols / 32) {
      for (int p = 0; p < kCount; ++p) {
        codes.at[p] = panels[p].codes + begin * Layout::kSteps * Layout::kStepDwords;
      }
    }
    [[gnu::always_inline]] void next_run(int64_t run, Sums& sum) {
      for_each_index<kCount>([&](auto p) __attribute__((always_inline)) {
        const V start = load(panels[p].corrections + run * kLanes);
        for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) { sum[p][t] = start; });
      });
      add_run(codes, x, x_stride, sum);
    }
    [[gnu::always_inline]] __m512 input_scale(int64_t run, int64_t token) const {
      return _mm512_set1_ps(x_scales[run * kRun / 32 + token * scale_stride]);
    }
  };

  static void add_to(float* y, __m512 value, __m512 scale) {
    _mm512_storeu_ps(y, _mm512_fmadd_ps(value, scale, _mm512_loadu_ps(y)));
  }

  /// Runs of `range` of kCount panels, of one block of inputs, times kTokens tokens, added to out.
  template <int kCount, int kTokens>
  static void tile(const Panel (&panels)[kCount], const PanelRange& range, const Int8Matrix& x,
                   int64_t first, Outputs out) {
    Tile<kCount, kTokens> tile(panels, range.begin, x, first);
    for (int64_t run = range.begin; run < range.end; ++run) {
      V sum[kCount][kTokens];
      tile.next_run(run, sum);
      __m512 scale[kCount];
      for_each_index<kCount>([&](auto p) __attribute__((always_inline)) {
        scale[p] = _mm512_loadu_ps(panels[p].scales + run * kLanes);
      });
      for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) {
        const __m512 x_scale = tile.input_scale(run, t);
        for_each_index<kCount>([&](auto p) __attribute__((always_inline)) {
          add_to(out.y + t * out.stride + p * kLanes, _mm512_cvtepi32_ps(sum[p][t]),
                 _mm512_mul_ps(scale[p], x_scale));
        });
      });
    }
  }

  /// The same where several runs share scales of weights: they are summed before they meet them.
  template <int kCount, int kTokens>
  static void tile_of_groups(const Panel (&panels)[kCount], const PanelRange& range,
                             const Int8Matrix& x, int64_t first, Outputs out) {
    Tile<kCount, kTokens> tile(panels, range.begin, x, first);
    for (int64_t run = range.begin; run < range.end;) {
      const int64_t group_end = range.group_end(run);
      const int64_t lanes = run * kLanes;
      __m512 total[kCount][kTokens];
      for_each_index<kCount * kTokens>([&](auto i) __attribute__((always_inline)) {
        total[i / kTokens][i % kTokens] = _mm512_setzero_ps();
      });
      for (; run < group_end; ++run) {
        V sum[kCount][kTokens];
        tile.next_run(run, sum);
        for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) {
          const __m512 x_scale = tile.input_scale(run, t);
          for_each_index<kCount>([&](auto p) __attribute__((always_inline)) {
            total[p][t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[p][t]), x_scale, total[p][t]);
          });
        });
      }
      for_each_index<kCount>([&](auto p) __attribute__((always_inline)) {
        const __m512 scale = _mm512_loadu_ps(panels[p].scales + lanes);
        for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) {
          add_to(out.y + t * out.stride + p * kLanes, total[p][t], scale);
        });
      });
    }
  }

  template <int64_t kCount>
  static void all_tokens(const Layout& layout, uint8_t* scratch, int64_t index,
                         const PanelRange& range, const Int8Matrix& x, Outputs out) {
    Panel panels[kCount];
    for (int64_t p = 0; p < kCount; ++p) panels[p] = layout.panel(scratch, index + p);
    int64_t t = 0;
    const auto take = [&]<int kTokens, bool kGroups>() {
      const Outputs to = {out.y + t * out.stride, out.stride};
      if constexpr (kGroups) {
        tile_of_groups<kCount, kTokens>(panels, range, x, t, to);
      } else {
        tile<kCount, kTokens>(panels, range, x, t, to);
      }
      t += kTokens;
    };
    if (range.group > 1) {
      constexpr int kTokens = kTokensOfGroups;
      while (t + kTokens <= x.tokens) take.template operator()<kTokens, true>();
    } else {
      while (t + kTokens <= x.tokens) take.template operator()<kTokens, false>();
    }
    while (t + 2 <= x.tokens) take.template operator()<2, false>();
    if (t < x.tokens) take.template operator()<1, false>();
  }
};

struct PanelsAvx512Vnni {
  static constexpr bool kShiftedBytes = true;

  template <typename Line>
  static void product(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                      Outputs y) noexcept {
    w.scale_columns == 16 ? panel_products<VnniPanelProduct<Line, 16>>(w, x, scratch, y)
                          : panel_products<VnniPanelProduct<Line, 32>>(w, x, scratch, y);
  }
  static constexpr ManyTokens* bytes = product<ByteLine>;
  static constexpr ManyTokens* nibbles = product<NarrowLine>;
  static constexpr ManyTokens* quads4 = product<NarrowQuadLine>;
  static constexpr ManyTokens* quads8 = product<ByteQuadLine>;
};

}  // namespace
}  // namespace scant
