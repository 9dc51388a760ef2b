#include "ops/gemm.h"

#include <cblas.h>

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <string>

#include "core/error.h"

namespace scant {
namespace {

struct GemmShape {
  int64_t m, n, k;
};

void gemm_cpu(const GemmShape& shape, ConstMatrixView a, ConstMatrixView b, MatrixView c,
              const GemmOptions& options) {
  pin_blas_to_one_thread();
  const auto narrow = [](int64_t value) { return static_cast<blasint>(value); };
  const auto flag = [](Transpose t) { return t == Transpose::kYes ? CblasTrans : CblasNoTrans; };
  if (shape.m == 1 && options.a == Transpose::kNo && options.b == Transpose::kYes) {
    // One row: the general product would copy all of b into panels first.
    if (options.beta == 0.0f) std::fill_n(c.data, shape.n, 0.0f);
    cblas_sgemv(CblasRowMajor, CblasNoTrans, narrow(shape.n), narrow(shape.k), options.alpha,
                b.data, narrow(b.stride), a.data, 1, options.beta == 0.0f ? 1.0f : options.beta,
                c.data, 1);
    return;
  }
  cblas_sgemm(CblasRowMajor, flag(options.a), flag(options.b), narrow(shape.m), narrow(shape.n),
              narrow(shape.k), options.alpha, a.data, narrow(a.stride), b.data, narrow(b.stride),
              options.beta, c.data, narrow(c.stride));
}

struct GemmRow {
  DeviceKind device;
  void (*run)(const GemmShape&, ConstMatrixView, ConstMatrixView, MatrixView, const GemmOptions&);
};
constexpr std::array<GemmRow, 1> kGemmTable = {{{DeviceKind::kCpu, gemm_cpu}}};

std::string shape_of(ConstMatrixView m) { return shape_text({m.rows, m.cols}); }

}  // namespace

void pin_blas_to_one_thread() {
  static std::once_flag once;
  std::call_once(once, [] { openblas_set_num_threads(1); });
}

void gemm(ConstMatrixView a, ConstMatrixView b, MatrixView c, const GemmOptions& options) {
  const bool at = options.a == Transpose::kYes;
  const bool bt = options.b == Transpose::kYes;
  const GemmShape shape = {at ? a.cols : a.rows, bt ? b.rows : b.cols, at ? a.rows : a.cols};
  if ((bt ? b.cols : b.rows) != shape.k || c.rows != shape.m || c.cols != shape.n) {
    throw Error("gemm", "shapes " + shape_of(a) + (at ? " (transposed)" : "") + " x " +
                            shape_of(b) + (bt ? " (transposed)" : "") + " do not give " +
                            shape_of(c));
  }
  constexpr int64_t kLargest = std::numeric_limits<blasint>::max();
  for (const int64_t extent : {shape.m, shape.n, shape.k, a.stride, b.stride, c.stride}) {
    if (extent > kLargest) {
      throw Error("gemm", "an extent of " + std::to_string(extent) + " is larger than " +
                              std::to_string(kLargest));
    }
  }
  if (shape.m == 0 || shape.n == 0) return;
  for (const GemmRow& row : kGemmTable) {
    if (row.device == options.stream.device.kind) return row.run(shape, a, b, c, options);
  }
  throw Error("gemm", "the device has no gemm; expected the CPU");
}

}  // namespace scant
