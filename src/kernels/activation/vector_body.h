#pragma once

// For ISA files only: internal linkage throughout.
#include "kernels/activation/rows.h"
#include "kernels/simd/exp.h"

namespace scant {
namespace {

template <typename S>
struct ActivationBody {
  using V = typename S::V;
  using Math = VectorMath<S>;
  static constexpr int64_t kLanes = S::kLanes;

  static V silu(V x) { return S::mul(x, Math::sigmoid(x)); }

  /// (1 + tanh u) / 2 is the sigmoid of 2u.
  static V gelu_tanh(V x) {
    const V cube = S::mul(S::mul(x, x), x);
    const V u = S::fma(S::set(0.044715f), cube, x);
    return S::mul(x, Math::sigmoid(S::mul(S::set(2 * 0.79788456080286536f), u)));
  }

  /// erf after Abramowitz and Stegun, 7.1.26: absolute error below 1.5e-7 plus rounding.
  static V gelu(V x) {
    const V z = S::mul(x, S::set(0.70710678118654752f));
    const V one = S::set(1.0f);
    const V magnitude = S::abs(z);
    const V t = S::div(one, S::fma(S::set(0.3275911f), magnitude, one));
    V p = S::set(1.061405429f);
    p = S::fma(p, t, S::set(-1.453152027f));
    p = S::fma(p, t, S::set(1.421413741f));
    p = S::fma(p, t, S::set(-0.284496736f));
    p = S::fma(p, t, S::set(0.254829592f));
    const V tail = S::mul(S::mul(p, t), Math::exp(S::sub(S::zero(), S::mul(z, z))));
    const V erf = S::copy_sign(S::sub(one, tail), z);
    return S::mul(S::mul(S::set(0.5f), x), S::add(one, erf));
  }

  static V relu(V x) { return S::max(S::zero(), x); }

  template <V (*kFunction)(V)>
  static void apply_one(float* x, int64_t n) noexcept {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) S::store(x + i, kFunction(S::load(x + i)));
    if (i < n) S::store_partial(x + i, n - i, kFunction(S::load_partial(x + i, n - i, 0.0f)));
  }

  template <V (*kFunction)(V)>
  static void gate_one(float* gate, const float* up, int64_t n) noexcept {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      S::store(gate + i, S::mul(kFunction(S::load(gate + i)), S::load(up + i)));
    }
    if (i < n) {
      const int64_t count = n - i;
      S::store_partial(gate + i, count,
                       S::mul(kFunction(S::load_partial(gate + i, count, 0.0f)),
                              S::load_partial(up + i, count, 0.0f)));
    }
  }

  static void apply(Activation kind, float* x, int64_t n) noexcept {
    switch (kind) {
      case Activation::kSilu:
        return apply_one<silu>(x, n);
      case Activation::kGelu:
        return apply_one<gelu>(x, n);
      case Activation::kGeluTanh:
        return apply_one<gelu_tanh>(x, n);
      case Activation::kRelu:
        return apply_one<relu>(x, n);
    }
  }

  static void apply_gated(Activation kind, float* gate, const float* up, int64_t n) noexcept {
    switch (kind) {
      case Activation::kSilu:
        return gate_one<silu>(gate, up, n);
      case Activation::kGelu:
        return gate_one<gelu>(gate, up, n);
      case Activation::kGeluTanh:
        return gate_one<gelu_tanh>(gate, up, n);
      case Activation::kRelu:
        return gate_one<relu>(gate, up, n);
    }
  }

  static constexpr ActivationRow row(const char* name) { return {name, apply, apply_gated}; }
};

}  // namespace
}  // namespace scant
