#include "compress/interplay/layer_errors.h"

#include <cmath>

#include "ops/gemm.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

Matrix times_transposed(ConstMatrixView x, ConstMatrixView e) {
  Matrix out(x.rows, e.rows);
  gemm(x, e, out.view(), {.b = Transpose::kYes});
  return out;
}

Matrix difference(ConstMatrixView a, ConstMatrixView b) {
  Matrix out(a.rows, a.cols);
  for (int64_t r = 0; r < a.rows; ++r) {
    for (int64_t c = 0; c < a.cols; ++c) out(r, c) = a(r, c) - b(r, c);
  }
  return out;
}

void add(Matrix& to, const Matrix& other) {
  for (int64_t i = 0; i < to.size(); ++i) to.data()[i] += other.data()[i];
}

double dot(const Matrix& a, const Matrix& b) {
  double total = 0;
  for (int64_t r = 0; r < a.rows(); ++r) {
    double row = 0;
    for (int64_t c = 0; c < a.cols(); ++c) row += static_cast<double>(a(r, c)) * b(r, c);
    total += row;
  }
  return total;
}

double norm(const Matrix& a) { return std::sqrt(dot(a, a)); }

double ratio(double value, double over) { return over > 0 ? value / over : 0.0; }

}  // namespace

LayerErrors::LayerErrors(ConstMatrixView input, ConstMatrixView weight, ConstMatrixView quantized,
                         const std::optional<NumberFormat>& activation)
    : input_(input), weight_(weight) {
  dense_norm_ = norm(times_transposed(input, weight));
  if (activation) {
    quantized_input_ = Matrix(input.rows, input.cols);
    quantize_rows(input, quantized_input_.view(), *activation);
    input_part_ = times_transposed(difference(quantized_input_.view(), input).view(), weight);
  }
  format_error_ = output_error_of(quantized);
}

Matrix LayerErrors::output_error(ConstMatrixView weight_error) const {
  if (quantized_input_.size() == 0) return times_transposed(input_, weight_error);
  Matrix error = times_transposed(quantized_input_.view(), weight_error);
  add(error, input_part_);
  return error;
}

Matrix LayerErrors::output_error_of(ConstMatrixView values) const {
  return output_error(difference(values, weight_).view());
}

Matrix LayerErrors::pruned_output(ConstMatrixView inputs, const Mask& kept) const {
  Matrix error(weight_.rows, weight_.cols);
  for (int64_t r = 0; r < weight_.rows; ++r) {
    const uint8_t* keep = kept.row(r);
    for (int64_t c = 0; c < weight_.cols; ++c) error(r, c) = keep[c] != 0 ? 0.0f : -weight_(r, c);
  }
  return times_transposed(inputs, error.view());
}

void LayerErrors::set_sparsity(const Mask& kept) {
  sparsity_error_ = pruned_output(input_, kept);
  magnitude_mask_ = kept;
}

LayerFigures LayerErrors::figures(ConstMatrixView values, const Mask& kept) const {
  const Matrix combined = output_error_of(values);
  const Matrix separate = [&] {
    Matrix sum = Matrix::copy_of(sparsity_error_.view());
    add(sum, format_error_);
    return sum;
  }();
  const double s2 = dot(sparsity_error_, sparsity_error_);
  const double q2 = dot(format_error_, format_error_);
  const double c2 = dot(combined, combined);
  LayerFigures result;
  result.sparsity_only = ratio(std::sqrt(s2), dense_norm_);
  result.format_only = ratio(std::sqrt(q2), dense_norm_);
  result.combined = ratio(std::sqrt(c2), dense_norm_);
  result.interaction = ratio(norm(difference(combined.view(), separate.view())), dense_norm_);
  result.share = ratio(c2 - s2 - q2, s2 + q2);
  result.cosine = ratio(dot(sparsity_error_, format_error_), std::sqrt(s2) * std::sqrt(q2));
  // The error of what is pruned against that of what is kept, both seen by the layer's inputs.
  const bool plain = quantized_input_.size() == 0;
  const bool known = plain && kept == magnitude_mask_;
  const Matrix pruned = known ? Matrix::copy_of(sparsity_error_.view())
                              : pruned_output(plain ? input_ : quantized_input_.view(), kept);
  Matrix of_kept = difference(combined.view(), pruned.view());
  if (!plain) of_kept = difference(of_kept.view(), input_part_.view());
  result.cross = ratio(2 * dot(pruned, of_kept), dense_norm_ * dense_norm_);
  return result;
}

}  // namespace scant
