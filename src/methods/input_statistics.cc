#include "methods/input_statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "ops/gemm.h"

namespace scant {
namespace {

// Of the mean diagonal: what GPTQ and SparseGPT add.
constexpr double kDamping = 0.01;
// How far a matched target goes.
constexpr float kMatched = 0.25f;

/// tr(E H E^T), rows in fixed pieces.
double quadratic_form(ConstMatrixView gram, int64_t rows,
                      const std::function<void(int64_t, float*)>& read_row, Context& context) {
  constexpr int64_t kRows = 64;
  const int64_t pieces = (rows + kRows - 1) / kRows;
  std::vector<double> sums(static_cast<size_t>(pieces), 0.0);
  context.threads.parallel_for(pieces, [&](int64_t piece) {
    const int64_t begin = piece * kRows, count = std::min(kRows, rows - begin);
    Matrix e(count, gram.cols), product(count, gram.cols);
    for (int64_t r = 0; r < count; ++r) read_row(begin + r, e.row(r));
    gemm(e.view(), gram, product.view());
    double sum = 0;
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t c = 0; c < gram.cols; ++c) sum += static_cast<double>(e(r, c)) * product(r, c);
    }
    sums[static_cast<size_t>(piece)] = sum;
  });
  return std::max(0.0, std::accumulate(sums.begin(), sums.end(), 0.0));
}

}  // namespace

std::vector<float> InputStatistics::squared_norms() const {
  std::vector<float> norms(static_cast<size_t>(features()));
  for (int64_t c = 0; c < features(); ++c) norms[static_cast<size_t>(c)] = gram_(c, c);
  return norms;
}

const GramFactor& InputStatistics::get(Derived& derived, bool by_norm, Context& context) const {
  std::call_once(derived.once, [&] {
    std::vector<int64_t> order(static_cast<size_t>(features()));
    std::iota(order.begin(), order.end(), 0);
    if (by_norm) {
      std::ranges::stable_sort(order, std::greater{}, [&](int64_t c) { return gram_(c, c); });
    }
    derived.factor = factorise_gram(gram_.view(), order, kDamping, context);
    if (!derived.factor) {
      throw Error("calibration", "the Gram matrix of a layer's inputs cannot be factorised");
    }
  });
  return *derived.factor;
}

const NormalisedGram& InputStatistics::normalised(Context& context) const {
  std::call_once(normalise_once_, [&] {
    const auto damping = static_cast<float>(factor(context).damping);
    std::vector<float> norms = squared_norms();
    for (float& norm : norms) norm = std::sqrt(norm + damping);
    Matrix gram(features(), features());
    for (int64_t r = 0; r < features(); ++r) {
      for (int64_t c = 0; c < features(); ++c) {
        const float damped = gram_(r, c) + (r == c ? damping : 0.0f);
        gram(r, c) = damped / (norms[static_cast<size_t>(r)] * norms[static_cast<size_t>(c)]);
      }
    }
    normalised_ = {std::move(norms), symmetric_eigen(gram.view())};
  });
  return normalised_;
}

Matrix InputStatistics::matched_target(ConstMatrixView weight, Context& context) const {
  if (cross_.size() == 0) return {};
  const int64_t n = features();
  Matrix change(n, n);
  for (int64_t i = 0; i < change.size(); ++i) change.data()[i] = cross_.data()[i] - gram_.data()[i];
  Matrix moved(weight.rows, n);
  constexpr int64_t kRows = 64;
  context.threads.parallel_for((weight.rows + kRows - 1) / kRows, [&](int64_t tile) {
    const int64_t begin = tile * kRows, count = std::min(kRows, weight.rows - begin);
    gemm(weight.rows_from(begin, count), change.view(), moved.view().rows_from(begin, count));
  });
  solve_gram(factor(context), moved.view(), context);
  Matrix target = Matrix::copy_of(weight);
  for (int64_t i = 0; i < target.size(); ++i) target.data()[i] += kMatched * moved.data()[i];
  return target;
}

double output_squared_error(ConstMatrixView weight, ConstMatrixView values,
                            const InputStatistics& inputs, Context& context) {
  return quadratic_form(
      inputs.gram(), weight.rows,
      [&](int64_t r, float* e) {
        for (int64_t c = 0; c < weight.cols; ++c) e[c] = values(r, c) - weight(r, c);
      },
      context);
}

double relative_output_error(ConstMatrixView weight, ConstMatrixView values,
                             const InputStatistics& inputs, Context& context) {
  const double dense = quadratic_form(
      inputs.gram(), weight.rows,
      [&](int64_t r, float* w) { std::copy_n(weight.row(r), weight.cols, w); }, context);
  if (dense <= 0) return 0.0;
  return std::sqrt(output_squared_error(weight, values, inputs, context) / dense);
}

}  // namespace scant
