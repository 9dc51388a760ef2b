#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/matmul/panel_layout.h"

namespace scant {
namespace {

/// Sums of products of int16.
template <int kRun_>
struct WideSums {
  static constexpr int kRun = kRun_;
  using Input = int16_t;
  static const Input* inputs(const Int8Matrix& x) { return x.wide; }
  static void add(__m256i& sum, __m256i x, __m256i w) {
    // As instructions: GCC 12 gives every sum a new register and runs out of them.
    asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(x, w)));
  }
  static __m256i total(__m256i sum, __m256i) { return sum; }
  static __m256i correction(__m256i) { return _mm256_setzero_si256(); }
  static constexpr bool kCorrected = false;
};

/// Sums of products of uint8 inputs, 128 too large, and int8 weights w in 16 bits: kRun_ columns
/// reach 255 max|w| kRun_ / 2, so 32 with |w| <= 8 and 16 with |w| <= 16.
template <int kRun_>
struct NarrowSums {
  static constexpr int kRun = kRun_;
  using Input = uint8_t;
  static const Input* inputs(const Int8Matrix& x) { return x.shifted; }
  static void add(__m256i& sum, __m256i x, __m256i w) {
    asm("vpaddw %1, %0, %0" : "+x"(sum) : "x"(_mm256_maddubs_epi16(x, w)));
  }
  static __m256i total(__m256i sum, __m256i correction) {
    return _mm256_sub_epi32(_mm256_madd_epi16(sum, _mm256_set1_epi16(1)), correction);
  }
  static __m256i correction(__m256i sum_of_128) {
    return _mm256_madd_epi16(sum_of_128, _mm256_set1_epi16(1));
  }
  static constexpr bool kCorrected = true;
};

template <typename Line, typename Sums>
struct PanelProduct {
  using V = __m256i;
  using F = __m256;
  static constexpr int64_t kRun = Sums::kRun, kLanes = kPanelOutputs;
  using Layout = PanelLayout<Line, kRun>;
  static constexpr int64_t kSteps = Layout::kSteps, kStepDwords = Layout::kStepDwords;
  static constexpr int64_t kPanels = 1;
  static constexpr int kMostTokens =  // what the registers hold
      Line::kPicks || Sums::kCorrected ? 5 : 6;

  static V load(const void* p) { return _mm256_loadu_si256(static_cast<const V*>(p)); }
  static void store(void* p, V x) { _mm256_storeu_si256(static_cast<V*>(p), x); }

  static void lay_out(const Layout& layout, const WeightRows& w, int64_t first,
                      const Panel& panel) {
    layout.lay_out(w, first, panel);
    if constexpr (Sums::kCorrected) lay_out_corrections(layout, panel);
  }

  // What inputs that are 128 too large add to the sums of each run.
  static void lay_out_corrections(const Layout& layout, const Panel& panel) {
    const V x = _mm256_set1_epi8(-128);
    const uint32_t* codes = panel.codes;
    for (int64_t run = 0; run < layout.runs; ++run) {
      V sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      for (int64_t s = 0; s < kSteps; ++s, codes += kStepDwords) {
        for (int v = 0; v < 2; ++v) Sums::add(sum[v], x, load(codes + 8 * v));
      }
      for (int v = 0; v < 2; ++v) {
        store(panel.corrections + run * kLanes + 8 * v, Sums::correction(sum[v]));
      }
    }
  }

  static V pick(V x, const uint32_t* picks) {
    if constexpr (Line::kPicks) return _mm256_shuffle_epi8(x, load(picks));
    return x;
  }
  static V broadcast(const void* inputs) {
    constexpr auto kBytes = static_cast<int64_t>(sizeof(typename Sums::Input)) * Line::kColumns;
    if constexpr (kBytes == 4) {
      return _mm256_castps_si256(_mm256_broadcast_ss(static_cast<const float*>(inputs)));
    } else {
      static_assert(kBytes == 8);
      return _mm256_castpd_si256(_mm256_broadcast_sd(static_cast<const double*>(inputs)));
    }
  }

  /// The inputs of token `t` of a tile: two pointers serve six tokens without more registers.
  template <typename Input>
  static V input(const Input* first, const Input* fourth, int64_t stride, int t) {
    return broadcast(t < 3 ? first + t * stride : fourth + (t - 3) * stride);
  }

  /// Adds integer sums of lanes [8 v, 8 v + 8) of run `run`, times both scales. Totals live in
  /// memory, or the sums of the next run would not all be registers.
  template <int kTokens>
  [[gnu::always_inline]] static void add_run(const Panel& panel, int64_t run, int64_t v,
                                             const V (&sum)[kTokens], const float* x_scales,
                                             int64_t x_stride, Outputs out) {
    const int64_t lanes = run * kLanes + 8 * v;
    const F scale = _mm256_loadu_ps(panel.scales + lanes);
    const V correction =
        Sums::kCorrected ? load(panel.corrections + lanes) : _mm256_setzero_si256();
    for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) {
      float* y = out.y + t * out.stride + 8 * v;
      const F factor = _mm256_mul_ps(scale, _mm256_broadcast_ss(x_scales + t * x_stride));
      const F value = _mm256_cvtepi32_ps(Sums::total(sum[t], correction));
      _mm256_storeu_ps(y, _mm256_fmadd_ps(value, factor, _mm256_loadu_ps(y)));
    });
  }

  /// Runs [begin, end) of a panel, of one block of inputs, times kTokens tokens, added to out.
  template <int kTokens>
  static void tile(const Panel& panel, int64_t begin, int64_t end, const Int8Matrix& x,
                   int64_t first, Outputs out) {
    const int64_t stride = x.block_cols(x.cols, begin * kRun);
    const auto* at = Sums::inputs(x) + x.place(x.tokens, x.cols, first, begin * kRun);
    const auto* fourth = at + 3 * stride;
    const uint32_t* codes = panel.codes + begin * kSteps * kStepDwords;
    for (int64_t run = begin; run < end; ++run) {
      V low[kTokens], high[kTokens];
      for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) {
        low[t] = high[t] = _mm256_setzero_si256();
      });
      const uint32_t* run_end = codes + kSteps * kStepDwords;
#pragma GCC unroll 2
      for (; codes != run_end; codes += kStepDwords) {
        const V low_codes = load(codes), high_codes = load(codes + 8);
        for_each_index<kTokens>([&](auto t) __attribute__((always_inline)) {
          const V x_t = input(at, fourth, stride, t);
          Sums::add(low[t], pick(x_t, codes + 16), low_codes);
          Sums::add(high[t], pick(x_t, codes + 24), high_codes);
        });
        at += Line::kColumns;
        fourth += Line::kColumns;
      }
      const float* x_scales = x.scales + first * (x.cols / 32) + run * kRun / 32;
      add_run(panel, run, 0, low, x_scales, x.cols / 32, out);
      add_run(panel, run, 1, high, x_scales, x.cols / 32, out);
    }
  }

  template <int64_t>
  static void all_tokens(const Layout& layout, uint8_t* scratch, int64_t index,
                         const PanelRange& range, const Int8Matrix& x, Outputs out) {
    const Panel panel = layout.panel(scratch, index);
    int64_t t = 0;
    const auto take = [&]<int kTokens>() {
      tile<kTokens>(panel, range.begin, range.end, x, t, {out.y + t * out.stride, out.stride});
      t += kTokens;
    };
    while (t + kMostTokens <= x.tokens) take.template operator()<kMostTokens>();
    while (t + 2 <= x.tokens) take.template operator()<2>();
    if (t < x.tokens) take.template operator()<1>();
  }
};

struct PanelsAvx2 {
  static constexpr bool kShiftedBytes = false;

  /// Whether 16-bit sums hold runs of 32 columns of all scales and values of these weights.
  static bool runs_of_32(const WeightRows& w) {
    if (w.scale_columns == 16) return false;
    for (const int8_t value : w.values) {
      if (value < -8 || value > 8) return false;
    }
    return true;
  }
  static void bytes(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                    Outputs y) noexcept {
    w.scale_columns == 16 ? panel_products<PanelProduct<WideLine, WideSums<16>>>(w, x, scratch, y)
                          : panel_products<PanelProduct<WideLine, WideSums<32>>>(w, x, scratch, y);
  }
  static void nibbles(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                      Outputs y) noexcept {
    runs_of_32(w) ? panel_products<PanelProduct<NarrowLine, NarrowSums<32>>>(w, x, scratch, y)
                  : panel_products<PanelProduct<NarrowLine, NarrowSums<16>>>(w, x, scratch, y);
  }
  static void quads4(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                     Outputs y) noexcept {
    runs_of_32(w) ? panel_products<PanelProduct<NarrowQuadLine, NarrowSums<32>>>(w, x, scratch, y)
                  : panel_products<PanelProduct<NarrowQuadLine, NarrowSums<16>>>(w, x, scratch, y);
  }
  static void quads8(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                     Outputs y) noexcept {
    w.scale_columns == 16
        ? panel_products<PanelProduct<WideQuadLine, WideSums<16>>>(w, x, scratch, y)
        : panel_products<PanelProduct<WideQuadLine, WideSums<32>>>(w, x, scratch, y);
  }
};

}  // namespace
}  // namespace scant
