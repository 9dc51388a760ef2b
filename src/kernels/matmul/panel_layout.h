#pragma once

// For ISA files only: internal linkage throughout.
#include <utility>

#include "kernels/matmul/panel_lines_avx2.h"

namespace scant {
namespace {

// Products with many tokens. Rows are laid out as panels of 16 outputs (panel_lines_avx2.h), the
// outputs being lanes, so that sums need no horizontal step and inputs are broadcast from memory;
// then a block of columns of some panels, which the first-level cache holds, meets all tokens, a
// few at a time, before the next. Sums are integers over each run of columns that share scales.

/// body(0) ... body(kCount - 1), the indices constants: arrays so indexed become registers, which
/// unrolling, done later, does not achieve.
template <int kCount, typename Body>
[[gnu::always_inline]] inline void for_each_index(const Body& body) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (body(std::integral_constant<int, i>()), ...);
  }
  (std::make_integer_sequence<int, kCount>());
}

/// 16 rows, laid out.
struct Panel {
  uint32_t* codes;       // steps x (16 weights, 16 picks)
  float* scales;         // runs x 16
  int32_t* corrections;  // runs x 16
};

/// Runs of columns, the first of them one of a group that shares scales of weights.
struct PanelRange {
  int64_t begin, end;
  int64_t group;  // runs of it
  int64_t group_end(int64_t run) const {
    const int64_t next = (run / group + 1) * group;
    return next < end ? next : end;
  }
};

/// How rows of `Line` become panels whose sums run over kRun columns.
template <typename Line, int kRun>
struct PanelLayout {
  static constexpr int64_t kLanes = kPanelOutputs;
  static constexpr int64_t kSteps = kRun / Line::kColumns;  // of a run
  static constexpr int64_t kStepDwords = kLanes * (Line::kPicks ? 2 : 1);

  int64_t cols;  // whole runs and units
  int64_t runs;
  int64_t panel_bytes;
  explicit PanelLayout(int64_t columns)
      : cols((columns + 63) / 64 * 64),
        runs(cols / kRun),
        panel_bytes(cols / Line::kColumns * kStepDwords * 4 + runs * kLanes * 4 * 2) {}

  Panel panel(uint8_t* scratch, int64_t index) const {
    uint8_t* at = scratch + index * panel_bytes;
    auto* codes = reinterpret_cast<uint32_t*>(at);
    at += cols / Line::kColumns * kStepDwords * 4;
    return {codes, reinterpret_cast<float*>(at),
            reinterpret_cast<int32_t*>(at + runs * kLanes * 4)};
  }

  /// Runs that share scales of weights.
  static int64_t group_runs(const WeightRows& w) {
    const int64_t runs = w.scale_columns / kRun;
    return runs > 0 ? runs : 1;
  }

  /// Codes and scales of rows [first, first + 16).
  void lay_out(const WeightRows& w, int64_t first, const Panel& panel) const {
    lay_out_codes(w, first, panel);
    lay_out_scales(w, first, panel);
  }

 private:
  /// to[i * to_stride + k] = from[k * from_stride + i], 8 x 8.
  static void transpose(const uint32_t* from, int64_t from_stride, uint32_t* to,
                        int64_t to_stride) {
    using V = __m256i;
    const auto load = [](const uint32_t* p) {
      return _mm256_loadu_si256(reinterpret_cast<const V*>(p));
    };
    const auto store = [](uint32_t* p, V x) { _mm256_storeu_si256(reinterpret_cast<V*>(p), x); };
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

  void lay_out_codes(const WeightRows& w, int64_t first, const Panel& panel) const {
    constexpr int64_t kUnits = 4;  // at a time, so that lines stay in the first-level cache
    constexpr int64_t kDwords = Line::kUnit / Line::kColumns;
    constexpr int64_t kStride = kUnits * kDwords;
    alignas(32) uint32_t values[kLanes * kStride];
    alignas(32) uint32_t picks[Line::kPicks ? kLanes * kStride : 1];
    const Line line(w);
    const int64_t units = cols / Line::kUnit;
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

  void lay_out_scales(const WeightRows& w, int64_t first, const Panel& panel) const {
    const int64_t group = group_runs(w);
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const int64_t r = first + lane < w.rows ? first + lane : w.rows - 1;
      const float* scales = w.scales + r * w.scale_stride;
      for (int64_t run = 0, i = 0; run < runs; run += group, ++i) {
        const float scale = scales[i < w.scale_stride ? i : w.scale_stride - 1];
        for (int64_t k = run; k < runs && k < run + group; ++k) {
          panel.scales[k * kLanes + lane] = scale;
        }
      }
    }
  }
};

/// All rows times all tokens. A product lays out its panels and adds, for a block of columns of
/// kPanels of them, to y.
template <typename Product>
void panel_products(const WeightRows& w, const Int8Matrix& x, uint8_t* scratch, Outputs out) {
  constexpr int64_t kLanes = kPanelOutputs, kRun = Product::kRun;
  const typename Product::Layout layout(w.cols);
  const int64_t panels = (w.rows + kLanes - 1) / kLanes;
  for (int64_t p = 0; p < panels; ++p) {
    Product::lay_out(layout, w, p * kLanes, layout.panel(scratch, p));
  }
  for (int64_t t = 0; t < x.tokens; ++t) {
    for (int64_t r = 0; r < panels * kLanes; ++r) out.y[t * out.stride + r] = 0;
  }
  constexpr int64_t kBlockRuns = Int8Matrix::kInputBlock / kRun;
  for (int64_t begin = 0; begin < layout.runs; begin += kBlockRuns) {
    const int64_t end = begin + kBlockRuns < layout.runs ? begin + kBlockRuns : layout.runs;
    const PanelRange range = {begin, end, layout.group_runs(w)};
    for (int64_t p = 0; p < panels;) {
      const Outputs to = {out.y + p * kLanes, out.stride};
      if (p + Product::kPanels <= panels) {
        Product::template all_tokens<Product::kPanels>(layout, scratch, p, range, x, to);
        p += Product::kPanels;
      } else {
        Product::template all_tokens<1>(layout, scratch, p, range, x, to);
        ++p;
      }
    }
  }
}

}  // namespace
}  // namespace scant
