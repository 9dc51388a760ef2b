#pragma once

#include "core/context.h"
#include "core/tensor.h"
#include "formats/mask.h"

namespace scant {

/// A layer's least squares over some of its weights: tr((V - W) (H + damping I) (V - W)^T).
struct SupportProblem {
  ConstMatrixView target;  ///< W, outputs x inputs
  ConstMatrixView gram;    ///< H, symmetric
  double damping = 0;      ///< added to the diagonal of H
  const Mask& free;        ///< 1: may change; the others keep the values that they have
};

/// When to stop.
struct SupportEffort {
  int iterations = 100;     ///< at most
  double tolerance = 1e-4;  ///< of a row's first gradient, in the norm of the preconditioner
};

/// Lowers the objective over the free weights of V = `values` by conjugate gradients on all rows at
/// once, each row with its own free weights, preconditioned by the diagonal (as ALPS, arXiv
/// 2406.07831, section 3.3). At the minimum, dv_F = -(H_FF)^-1 H_FE e_E: what the errors e of the
/// fixed weights E cost is made good as far as it can be. One product with H per iteration instead
/// of a factorisation per row. Deterministic for any number of threads.
void solve_on_support(const SupportProblem& problem, MatrixView values, const SupportEffort& effort,
                      Context& context);

}  // namespace scant
