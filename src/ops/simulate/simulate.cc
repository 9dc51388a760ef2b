#include "ops/simulate/simulate.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "ops/simulate/row_pass.h"

namespace scant {
namespace {

/// Whether a row pass can do it: not if the definition refuses, nor with weighted errors.
bool fits(const QuantizeOptions& options, ConstMatrixView values, const NumberFormat& format) {
  const Mask* mask = options.mask;
  const QuantizedMatrix* from = options.scales_from;
  return options.importance.empty() &&
         (mask == nullptr || (mask->rows == values.rows && mask->cols == values.cols)) &&
         (from == nullptr ||
          (from->rows == values.rows && from->cols == values.cols &&
           from->format.element == format.element &&
           from->format.granularity == format.granularity && from->format.role == format.role));
}

void check_shape(const MatrixView& out, ConstMatrixView values) {
  if (out.data != nullptr && (out.rows != values.rows || out.cols != values.cols)) {
    throw Error("simulate", "values of " + shape_text({values.rows, values.cols}) +
                                " into a matrix of " + shape_text({out.rows, out.cols}));
  }
}

// A pass fails at the first value that is not finite; the definition names it.
void run(RowPass pass, ConstMatrixView values, Context* context) {
  if (!pass.run(context)) check_finite(values, context);
}

void zero_pruned(const Mask& mask, MatrixView values) {
  for (int64_t r = 0; r < values.rows; ++r) {
    const uint8_t* keep = mask.row(r);
    float* row = values.row(r);
    for (int64_t c = 0; c < values.cols; ++c) row[c] = keep[c] != 0 ? row[c] : 0.0f;
  }
}

// Any pattern and any format, step by step.
void simulate_in_steps(ConstMatrixView values, const Simulation& simulation,
                       const SimulationResult& result, Context& context) {
  Matrix own;  // later steps look at the simulated values even if the caller does not
  MatrixView out = result.values;
  if (out.data == nullptr && simulation.quantize_first) {
    own = Matrix(values.rows, values.cols);
    out = own.view();
  }
  const bool prune = simulation.pattern.has_value();
  Mask mask;
  if (!simulation.format) {
    check_finite(values, &context);
    if (out.data != nullptr) copy_rows(values, out);
  }
  if (prune && !(simulation.quantize_first && simulation.format)) {
    mask = select_magnitude_mask(values, *simulation.pattern, context);
  }
  if (simulation.format) {
    QuantizeOptions options{.seed = simulation.seed, .stream = simulation.stream};
    if (prune && !simulation.quantize_first) options.mask = &mask;
    QuantizedMatrix quantized = quantize_matrix(values, *simulation.format, options, context, out);
    if (result.quantized != nullptr) *result.quantized = std::move(quantized);
    if (prune && simulation.quantize_first) {
      mask = select_magnitude_mask(out, *simulation.pattern, context);
    }
  }
  if (!prune) return;
  if (out.data != nullptr) zero_pruned(mask, out);
  if (result.mask != nullptr) *result.mask = std::move(mask);
}

}  // namespace

void simulate_matrix(ConstMatrixView values, const Simulation& simulation,
                     const SimulationResult& result, Context& context) {
  check_shape(result.values, values);
  const NOfMPattern* pattern =
      simulation.pattern ? std::get_if<NOfMPattern>(&simulation.pattern->pattern) : nullptr;
  const auto plan = simulation.format ? QuantizePlan::make(*simulation.format) : nullptr;
  const bool one_pass = values.size() > 0 && (pattern != nullptr || !simulation.pattern) &&
                        (plan != nullptr || !simulation.format) &&
                        (pattern != nullptr || plan != nullptr);
  if (!one_pass) return simulate_in_steps(values, simulation, result, context);
  const RowPass::Steps steps{
      .plan = plan.get(), .pattern = pattern, .quantize_first = simulation.quantize_first};
  run(RowPass(values, steps,
              {.values = result.values,
               .quantized = plan != nullptr ? result.quantized : nullptr,
               .keep = pattern != nullptr ? result.mask : nullptr}),
      values, &context);
}

QuantizedMatrix quantize_matrix(ConstMatrixView values, const NumberFormat& format,
                                const QuantizeOptions& options, Context& context,
                                MatrixView simulated) {
  check_shape(simulated, values);
  const auto plan = QuantizePlan::make(format);
  if (plan == nullptr || values.size() == 0 || !fits(options, values, format)) {
    QuantizedMatrix quantized = quantize(values, format, options, context);
    if (simulated.data != nullptr) dequantize(quantized, simulated);
    return quantized;
  }
  QuantizedMatrix quantized;
  const RowPass::Steps steps{.plan = plan.get(),
                             .mask = options.mask,
                             .scales_from = options.scales_from,
                             .tensor_scale = options.tensor_scale};
  run(RowPass(values, steps, {.values = simulated, .quantized = &quantized}), values, &context);
  return quantized;
}

void quantize_rows(ConstMatrixView values, MatrixView simulated, const NumberFormat& format,
                   const QuantizeOptions& options) {
  check_shape(simulated, values);
  const auto plan = QuantizePlan::make(format);
  if (plan == nullptr || values.size() == 0 || !fits(options, values, format)) {
    copy_rows(values, simulated);
    return quantize_in_place(simulated, format, options);
  }
  const RowPass::Steps steps{.plan = plan.get(),
                             .mask = options.mask,
                             .scales_from = options.scales_from,
                             .tensor_scale = options.tensor_scale};
  run(RowPass(values, steps, {.values = simulated}), values, nullptr);
}

void dequantize_matrix(const QuantizedMatrix& quantized, MatrixView out, Context& context) {
  if (out.rows != quantized.rows || out.cols != quantized.cols || quantized.format.is_plain() ||
      !quantized.column_order.empty()) {
    return dequantize(quantized, out);
  }
  std::array<float, 256> values{};
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (const uint8_t code : element.codes()) values[code] = element.code_value(code);
        }
      },
      quantized.format.element);
  const Granularity& granularity = quantized.format.granularity;
  const int64_t step = granularity.kind == Granularity::Kind::kGroup ? granularity.size : out.cols;
  const std::vector<float>& factors = quantized.column_factors;
  const RowPieces pieces(out.rows, out.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      const uint8_t* codes = quantized.codes.data() + r * out.cols;
      float* row = out.row(r);
      for (int64_t begin = 0; begin < out.cols; begin += step) {
        const int64_t end = begin + std::min(step, out.cols - begin);
        const BlockScale scale = quantized.block_scale(r, quantized.block_of(r, begin));
        const auto zero = static_cast<float>(scale.zero_point);
        for (int64_t c = begin; c < end; ++c) {
          row[c] = (values[codes[c]] - zero) * scale.scale + scale.offset;
        }
      }
      if (factors.empty()) continue;
      for (int64_t c = 0; c < out.cols; ++c) row[c] *= factors[static_cast<size_t>(c)];
    }
  });
}

Mask select_magnitude_mask(ConstMatrixView values, const SparsityPattern& pattern,
                           Context& context) {
  const auto* n_of_m = std::get_if<NOfMPattern>(&pattern.pattern);
  if (n_of_m == nullptr || values.size() == 0) {
    check_finite(values, &context);
    return pattern.select({values}, context);
  }
  Mask mask;
  run(RowPass(values, {.pattern = n_of_m}, {.keep = &mask}), values, &context);
  return mask;
}

}  // namespace scant
