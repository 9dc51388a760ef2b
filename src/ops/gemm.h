#pragma once

#include "core/tensor.h"

namespace scant {

enum class Transpose : uint8_t { kNo, kYes };

/// What gemm does with its output.
struct GemmOptions {
  Transpose a = Transpose::kNo;
  Transpose b = Transpose::kNo;
  float alpha = 1.0f;
  float beta = 0.0f;  ///< 0 overwrites c, whatever is in it
  Stream stream;      ///< the device that computes
};

/// c = alpha * op(a) * op(b) + beta * c in float32, op(a) m x k, op(b) k x n, c m x n. Views may be
/// strided; c overlaps neither a nor b. Single-threaded and deterministic: callers run several at
/// once. Throws Error if the shapes do not fit or the device has no gemm.
void gemm(ConstMatrixView a, ConstMatrixView b, MatrixView c, const GemmOptions& options = {});

/// To be called before BLAS or LAPACK: OpenBLAS would start threads of its own inside each of ours,
/// and split sums by their number.
void pin_blas_to_one_thread();

}  // namespace scant
