#pragma once

// For ISA files only, after one of avx2.h, avx512.h: internal linkage throughout.
namespace scant {
namespace {

/// Vector functions over a set of instructions `S`.
template <typename S>
struct VectorMath {
  using V = typename S::V;

  /// e^x with a relative error below 2e-7; 0 below -87.3; saturates above 88.3; NaN stays NaN.
  /// x = n ln2 + r with |r| <= ln2 / 2, and the Taylor series of e^r, whose remainder r^8 / 8! is
  /// below 6e-9 there.
  static V exp(V x) {
    const V lowest = S::set(-87.33654f);
    const V clamped = S::max(lowest, S::min(S::set(88.3762626647949f), x));
    const V n = S::round(S::mul(clamped, S::set(1.44269504088896341f)));
    V r = S::fnma(n, S::set(0.693359375f), clamped);  // ln2 in two parts, the first with 9 bits
    r = S::fnma(n, S::set(-2.12194440054690583e-4f), r);
    V p = S::set(1.0f / 5040);
    p = S::fma(p, r, S::set(1.0f / 720));
    p = S::fma(p, r, S::set(1.0f / 120));
    p = S::fma(p, r, S::set(1.0f / 24));
    p = S::fma(p, r, S::set(1.0f / 6));
    p = S::fma(p, r, S::set(0.5f));
    p = S::fma(p, r, S::set(1.0f));
    p = S::fma(p, r, S::set(1.0f));
    return S::zero_where_less(x, lowest, S::mul(p, S::power_of_two(n)));
  }

  /// 1 / (1 + e^-x)
  static V sigmoid(V x) {
    const V one = S::set(1.0f);
    return S::div(one, S::add(one, exp(S::sub(S::zero(), x))));
  }
};

}  // namespace
}  // namespace scant
