#include <algorithm>
#include <cmath>

#include "core/dtype.h"
#include "methods/quantize/quantizer.h"
#include "methods/scaled_columns.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

constexpr int kSteps = 20;            // exponents 0, 1/20, ..., 19/20
constexpr double kLeastInput = 1e-4;  // of the largest, so that inputs of 0 keep a factor

struct Candidate {
  std::vector<float> factors;  // what columns are multiplied by after decoding; empty: 1
  QuantizedMatrix quantized;
  Matrix values;
  double error = 0;
};

/// 1 / s as stored, s = (root mean square of the input)^exponent, the largest and the smallest s
/// equally far from 1.
std::vector<float> column_factors(std::span<const float> squared_norms, double exponent) {
  const double largest = std::sqrt(*std::ranges::max_element(squared_norms));
  if (largest == 0) return std::vector<float>(squared_norms.size(), 1.0f);
  std::vector<double> scales;
  for (const float squared : squared_norms) {
    scales.push_back(std::pow(
        std::max(std::sqrt(static_cast<double>(squared)) / largest, kLeastInput), exponent));
  }
  const double middle = std::sqrt(*std::ranges::min_element(scales));
  std::vector<float> factors;
  for (const double scale : scales) {
    factors.push_back(f16_to_f32(f32_to_f16(static_cast<float>(middle / scale))));
  }
  return factors;
}

QuantizedMatrix search_exponent(ConstMatrixView weight, const NumberFormat& format,
                                const QuantizeOptions& options, const Statistics& statistics,
                                MatrixView values, Context& context) {
  if (format.is_plain()) return quantize_matrix(weight, format, options, context, values);
  const std::vector<float> norms = statistics.inputs->squared_norms();
  std::optional<Candidate> best;
  for (int step = 0; step < kSteps; ++step) {
    Candidate tried;
    tried.factors = column_factors(norms, static_cast<double>(step) / kSteps);
    const Matrix source = scaled_columns(weight, inverses(tried.factors), context);
    tried.values = Matrix(weight.rows, weight.cols);
    tried.quantized = quantize_matrix(source.view(), format, options, context, tried.values.view());
    scale_columns(tried.values.view(), tried.factors, tried.values.view(), context);
    tried.error = output_squared_error(weight, tried.values.view(), *statistics.inputs, context);
    if (!best || tried.error < best->error) best = std::move(tried);
  }
  copy_rows(best->values.view(), values);
  best->quantized.column_factors = std::move(best->factors);
  return std::move(best->quantized);
}

}  // namespace

Quantizer awq_quantizer() {
  return {"awq",
          "scales columns by a power of their inputs, found by the layer's error",
          true,
          false,
          search_exponent,
          true};
}

}  // namespace scant
