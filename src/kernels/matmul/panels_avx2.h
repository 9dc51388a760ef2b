#pragma once

// For ISA files only: internal linkage throughout.
#include <type_traits>
#include <utility>

#include "kernels/matmul/panel_lines_avx2.h"

namespace scant {
namespace {

// Products with many tokens. Rows are laid out as panels of 16 outputs (panel_lines_avx2.h), the
// outputs being lanes, so that sums need no horizontal step and inputs are broadcast from memory;
// then a block of columns of one panel, which the first-level cache holds, meets all tokens, a few
// at a time, before the next. Sums are integers over each run of columns that share scales.

/// body(0) ... body(kCount - 1), the indices constants: arrays so indexed become registers, which
/// unrolling, done later, does not achieve.
template <int kCount, typename Body>
[[gnu::always_inline]] inline void for_each_index(const Body& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, i>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

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
  static constexpr int64_t kLanes = kPanelOutputs;
  static constexpr int64_t kSteps = Sums::kRun / Line::kColumns;  // of a run
  static constexpr int64_t kStepDwords = kLanes * (Line::kPicks ? 2 : 1);
  static constexpr int kMostTokens =  // what the registers hold
      Line::kPicks || Sums::kCorrected ? 5 : 6;

  /// 16 rows, laid out.
  struct Panel {
    uint32_t* codes;       // steps x (16 weights, 16 picks)
    float* scales;         // runs x 16
    int32_t* corrections;  // runs x 16
  };
  struct Layout {
    int64_t cols;  // whole runs and units
    int64_t runs;
    int64_t panel_bytes;
    explicit Layout(int64_t columns)
        : cols((columns + 63) / 64 * 64),
          runs(cols / Sums::kRun),
          panel_bytes(cols / Line::kColumns * kStepDwords * 4 + runs * kLanes * 4 * 2) {}
    Panel panel(uint8_t* scratch, int64_t index) const {
      uint8_t* at = scratch + index * panel_bytes;
      auto* codes = reinterpret_cast<uint32_t*>(at);
      at += cols / Line::kColumns * kStepDwords * 4;
      return {codes, reinterpret_cast<float*>(at),
              reinterpret_cast<int32_t*>(at + runs * kLanes * 4)};
    }
  };

  static V load(const void* p) { return _mm256_loadu_si256(static_cast<const V*>(p)); }
  static void store(void* p, V x) { _mm256_storeu_si256(static_cast<V*>(p), x); }

  /// to[i * to_stride + k] = from[k * from_stride + i], 8 x 8.
  static void transpose(const uint32_t* from, int64_t from_stride, uint32_t* to,
                        int64_t to_stride) {
    V a[8], b[8];
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) a[k] = load(from + k * from_stride);
#pragma GCC unroll 4
    for (int k = 0; k < 8; k += 2) {
      b[k] = _mm256_unpacklo_epi32(a[k], a[k + 1]);
      b[k + 1] = _mm256_unpackhi_epi32(a[k], a[k + 1]);
    }
#pragma GCC unroll 2
    for (int k = 0; k < 8; k += 4) {
      a[k] = _mm256_unpacklo_epi64(b[k], b[k + 2]);
      a[k + 1] = _mm256_unpackhi_epi64(b[k], b[k + 2]);
      a[k + 2] = _mm256_unpacklo_epi64(b[k + 1], b[k + 3]);
      a[k + 3] = _mm256_unpackhi_epi64(b[k + 1], b[k + 3]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      store(to + k * to_stride, _mm256_permute2x128_si256(a[k], a[k + 4], 0x20));
      store(to + (k + 4) * to_stride, _mm256_permute2x128_si256(a[k], a[k + 4], 0x31));
    }
  }

  static void lay_out_codes(const WeightRows& w, int64_t first, const Layout& layout,
                            const Panel& panel) {
    constexpr int64_t kUnits = 4;  // at a time, so that lines stay in the first-level cache
    constexpr int64_t kDwords = Line::kUnit / Line::kColumns;
    constexpr int64_t kStride = kUnits * kDwords;
    alignas(32) uint32_t values[kLanes * kStride];
    alignas(32) uint32_t picks[Line::kPicks ? kLanes * kStride : 1];
    const Line line(w);
    const int64_t units = layout.cols / Line::kUnit;
    for (int64_t begin = 0; begin < units; begin += kUnits) {
      const int64_t count = units - begin < kUnits ? units - begin : kUnits;
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        const int64_t r = first + lane < w.rows ? first + lane : w.rows - 1;
        for (int64_t u = 0; u < count; ++u) {
          const int64_t at = lane * kStride + u * kDwords;
          line.write(w, r, (begin + u) * Line::kUnit, values + at,
                     Line::kPicks ? picks + at : nullptr);
        }
      }
      uint32_t* to = panel.codes + begin * kDwords * kStepDwords;
      for (int64_t lane = 0; lane < kLanes; lane += 8) {
        for (int64_t k = 0; k < count * kDwords; k += 8) {
          transpose(values + lane * kStride + k, kStride, to + k * kStepDwords + lane, kStepDwords);
          if constexpr (Line::kPicks) {
            transpose(picks + lane * kStride + k, kStride, to + k * kStepDwords + kLanes + lane,
                      kStepDwords);
          }
        }
      }
    }
  }

  static int64_t columns_per_scale(const WeightRows& w) {
    return w.step == ScaleStep::kGroup ? w.group : w.step == ScaleStep::k32 ? 32 : 16;
  }

  static void lay_out_scales(const WeightRows& w, int64_t first, const Layout& layout,
                             const Panel& panel) {
    const int64_t per = columns_per_scale(w);
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const int64_t r = first + lane < w.rows ? first + lane : w.rows - 1;
      const float* scales = w.scales + r * w.scale_stride;
      for (int64_t run = 0; run < layout.runs; ++run) {
        const int64_t i = run * Sums::kRun / per;
        panel.scales[run * kLanes + lane] = scales[i < w.scale_stride ? i : w.scale_stride - 1];
      }
    }
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
    const int64_t stride = x.block_cols(x.cols, begin * Sums::kRun);
    const auto* at = Sums::inputs(x) + x.place(x.tokens, x.cols, first, begin * Sums::kRun);
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
      const float* x_scales = x.scales + first * (x.cols / 32) + run * Sums::kRun / 32;
      add_run(panel, run, 0, low, x_scales, x.cols / 32, out);
      add_run(panel, run, 1, high, x_scales, x.cols / 32, out);
    }
  }

  static void all_tokens(const Panel& panel, int64_t begin, int64_t end, const Int8Matrix& x,
                         Outputs out) {
    int64_t t = 0;
    const auto take = [&]<int kTokens>() {
      tile<kTokens>(panel, begin, end, x, t, {out.y + t * out.stride, out.stride});
      t += kTokens;
    };
    while (t + kMostTokens <= x.tokens) take.template operator()<kMostTokens>();
    while (t + 2 <= x.tokens) take.template operator()<2>();
    if (t < x.tokens) take.template operator()<1>();
  }

  static void run(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                  Outputs out) noexcept {
    const Layout layout(w.cols);
    const int64_t panels = (w.rows + kLanes - 1) / kLanes;
    for (int64_t p = 0; p < panels; ++p) {
      const Panel panel = layout.panel(scratch, p);
      lay_out_codes(w, p * kLanes, layout, panel);
      lay_out_scales(w, p * kLanes, layout, panel);
      if constexpr (Sums::kCorrected) lay_out_corrections(layout, panel);
    }
    for (int64_t t = 0; t < x.tokens; ++t) {
      for (int64_t r = 0; r < panels * kLanes; ++r) out.y[t * out.stride + r] = 0;
    }
    constexpr int64_t kBlockRuns = Int8Matrix::kInputBlock / Sums::kRun;
    for (int64_t begin = 0; begin < layout.runs; begin += kBlockRuns) {
      const int64_t end = begin + kBlockRuns < layout.runs ? begin + kBlockRuns : layout.runs;
      for (int64_t p = 0; p < panels; ++p) {
        all_tokens(layout.panel(scratch, p), begin, end, x, {out.y + p * kLanes, out.stride});
      }
    }
  }
};

struct PanelsAvx2 {
  /// Whether 16-bit sums hold runs of 32 columns of all scales and values of these weights.
  static bool runs_of_32(const WeightRows& w) {
    if (w.step == ScaleStep::k16) return false;
    for (const int8_t value : w.values) {
      if (value < -8 || value > 8) return false;
    }
    return true;
  }
  static void bytes(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                    Outputs y) noexcept {
    w.step == ScaleStep::k16 ? PanelProduct<WideLine, WideSums<16>>::run(w, x, scratch, y)
                             : PanelProduct<WideLine, WideSums<32>>::run(w, x, scratch, y);
  }
  static void nibbles(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                      Outputs y) noexcept {
    runs_of_32(w) ? PanelProduct<NarrowLine, NarrowSums<32>>::run(w, x, scratch, y)
                  : PanelProduct<NarrowLine, NarrowSums<16>>::run(w, x, scratch, y);
  }
  static void quads4(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                     Outputs y) noexcept {
    runs_of_32(w) ? PanelProduct<NarrowQuadLine, NarrowSums<32>>::run(w, x, scratch, y)
                  : PanelProduct<NarrowQuadLine, NarrowSums<16>>::run(w, x, scratch, y);
  }
  static void quads8(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch,
                     Outputs y) noexcept {
    w.step == ScaleStep::k16 ? PanelProduct<WideQuadLine, WideSums<16>>::run(w, x, scratch, y)
                             : PanelProduct<WideQuadLine, WideSums<32>>::run(w, x, scratch, y);
  }
};

}  // namespace
}  // namespace scant
