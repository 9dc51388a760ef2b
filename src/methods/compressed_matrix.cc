#include "methods/compressed_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "formats/spelling.h"
#include "methods/joint/joint_solver.h"
#include "methods/method_names.h"

namespace scant {
namespace {

MaskedCodes compress_both(const CompressionProblem& problem, const CompressionSpec& spec,
                          MatrixView values, Context& context) {
  switch (spec.order) {
    case Order::kSparsifyFirst:
      return sparsify_first(problem, values, context);
    case Order::kQuantizeFirst:
      return quantize_first(problem, values, context);
    case Order::kJoint:
      break;
  }
  return find_joint_solver(spec.joint)->solve(problem, values, context);
}

/// Whether codes come from a solver and not from rounding each weight.
bool chooses_codes(const CompressionSpec& spec) {
  if (spec.pattern && spec.order == Order::kJoint) return find_joint_solver(spec.joint)->calibrated;
  return find_quantizer(spec.quantizer)->calibrated;
}

}  // namespace

std::string_view order_name(Order order) {
  switch (order) {
    case Order::kSparsifyFirst:
      return "sparsify-first";
    case Order::kQuantizeFirst:
      return "quantize-first";
    case Order::kJoint:
      break;
  }
  return "joint";
}

Order parse_order(std::string_view name) {
  for (const Order order : kOrders) {
    if (order_name(order) == name) return order;
  }
  throw Error("order", quoted_part(name) + " is unknown; allowed are sparsify-first, " +
                           "quantize-first, joint");
}

std::optional<std::string> refusal(const CompressionSpec& spec) {
  if (!spec.pattern && !spec.format) {
    return "neither a sparsity pattern nor a number format is given";
  }
  if (spec.pattern && find_pruner(spec.pruner) == nullptr) {
    return fmt::format("no pruning method is called {}; there are {}", quoted_part(spec.pruner),
                       names_of(all_pruners()));
  }
  if (spec.format && find_quantizer(spec.quantizer) == nullptr) {
    return fmt::format("no quantizing method is called {}; there are {}",
                       quoted_part(spec.quantizer), names_of(all_quantizers()));
  }
  if (spec.order == Order::kJoint && find_joint_solver(spec.joint) == nullptr) {
    return fmt::format("no joint method is called {}; there are {}", quoted_part(spec.joint),
                       names_of(all_joint_solvers()));
  }
  if (spec.format && spec.format->role != Role::kWeight) {
    return spec.format->spelling() + " is spelled for activations; a weight needs a weight format";
  }
  if (spec.format && spec.format->stochastic && chooses_codes(spec)) {
    return fmt::format(
        "{} chooses the codes itself; :stoch has a meaning only with rtn",
        quoted_part(spec.order == Order::kJoint && spec.pattern ? spec.joint : spec.quantizer));
  }
  if (spec.format && spec.pattern && spec.order != Order::kJoint &&
      find_quantizer(spec.quantizer)->column_order) {
    return fmt::format(
        "{} stores columns in another order, which takes no sparsity pattern; gptq "
        "does",
        quoted_part(spec.quantizer));
  }
  if (spec.format) return layout_refusal(*spec.format, spec.pattern);
  return std::nullopt;
}

std::string method_names(const CompressionSpec& spec) {
  if (!spec.format) return spec.pruner;
  if (!spec.pattern) return spec.quantizer;
  if (spec.order == Order::kJoint) return spec.joint;
  const bool first = spec.order == Order::kSparsifyFirst;
  return (first ? spec.pruner : spec.quantizer) + ", " + (first ? spec.quantizer : spec.pruner);
}

bool needs_calibration(const CompressionSpec& spec) {
  if (spec.pattern && spec.format && spec.order == Order::kJoint) {
    return find_joint_solver(spec.joint)->calibrated;
  }
  return (spec.pattern && find_pruner(spec.pruner)->calibrated) ||
         (spec.format && find_quantizer(spec.quantizer)->calibrated);
}

bool matches_dense_outputs(const CompressionSpec& spec) {
  if (!spec.format) return false;
  if (spec.pattern && spec.order == Order::kJoint) return find_joint_solver(spec.joint)->matched;
  return find_quantizer(spec.quantizer)->matched;
}

CompressedMatrix compress_matrix(ConstMatrixView weight, const CompressionSpec& spec,
                                 const Statistics& statistics, Context& context) {
  if (const auto sentence = refusal(spec)) throw Error("compress", *sentence);
  if (needs_calibration(spec) && statistics.inputs == nullptr) {
    throw Error("compress", "its method needs calibration text");
  }
  check_finite(weight, &context);
  Matrix matched;
  if (statistics.inputs != nullptr && matches_dense_outputs(spec)) {
    matched = statistics.inputs->matched_target(weight, context);
  }
  const ConstMatrixView target = matched.size() > 0 ? matched.view() : weight;
  CompressedMatrix result;
  if (spec.format) result.values = Matrix(weight.rows, weight.cols);
  const Pruner* pruner = find_pruner(spec.pruner);
  const Quantizer* quantizer = find_quantizer(spec.quantizer);
  if (spec.pattern && spec.format) {
    const CompressionProblem problem{target,     *spec.pattern, *spec.format, *pruner,
                                     *quantizer, statistics,    spec.seed,    spec.stream};
    MaskedCodes codes = compress_both(problem, spec, result.values.view(), context);
    result.quantized = std::move(codes.quantized);
    result.mask = std::move(codes.mask);
  } else if (spec.format) {
    const QuantizeOptions options{.seed = spec.seed, .stream = spec.stream};
    result.quantized = quantizer->quantize(target, *spec.format, options, statistics,
                                           result.values.view(), context);
  } else {
    PrunedMatrix pruned = pruner->prune(weight, {*spec.pattern, statistics}, context);
    result.mask = std::move(pruned.mask);
    result.values = pruned.values.size() > 0 ? std::move(pruned.values) : Matrix::copy_of(weight);
    prune_values(result.values.view(), *result.mask, context);
  }
  if (statistics.inputs != nullptr) {
    result.output_error =
        relative_output_error(weight, result.values.view(), *statistics.inputs, context);
  }
  result.error =
      matrix_error(weight, result.values.view(), result.mask ? &*result.mask : nullptr, context);
  return result;
}

StoredSize compressed_size(int64_t rows, int64_t cols, const CompressionSpec& spec,
                           const NumberFormat& plain, int64_t kept) {
  const NumberFormat& format = spec.format ? *spec.format : plain;
  StoredSize size = stored_size(rows, cols, format, spec.pattern, kept);
  const bool is_joint = spec.pattern && spec.order == Order::kJoint;
  if (spec.format && !is_joint && !format.is_plain()) {
    const Quantizer& quantizer = *find_quantizer(spec.quantizer);
    const bool groups = format.granularity.kind == Granularity::Kind::kGroup;
    if (quantizer.column_factors) size.column_factors = 2 * cols;
    if (quantizer.column_order && groups) size.column_order = 4 * cols;
  }
  return size;
}

MatrixError matrix_error(ConstMatrixView weight, ConstMatrixView values, const Mask* mask,
                         Context& context) {
  struct Sums {
    double sparsity = 0, quantization = 0, weight = 0, largest = 0;
  };
  const RowPieces pieces(weight.rows, weight.cols);
  std::vector<Sums> parts(static_cast<size_t>(pieces.count()));
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    Sums sums;
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      const uint8_t* keep = mask != nullptr ? mask->row(r) : nullptr;
      for (int64_t c = 0; c < weight.cols; ++c) {
        const double w = weight(r, c);
        const double error = values(r, c) - w;
        (keep != nullptr && keep[c] == 0 ? sums.sparsity : sums.quantization) += error * error;
        sums.weight += w * w;
        sums.largest = std::max(sums.largest, std::fabs(error));
      }
    }
    parts[static_cast<size_t>(piece)] = sums;
  });
  MatrixError total;
  double of_weight = 0;
  for (const Sums& sums : parts) {
    total.sparsity_squared += sums.sparsity;
    total.quantization_squared += sums.quantization;
    total.largest = std::max(total.largest, sums.largest);
    of_weight += sums.weight;
  }
  total.squared = total.sparsity_squared + total.quantization_squared;
  total.relative = of_weight > 0 ? std::sqrt(total.squared / of_weight) : 0.0;
  return total;
}

}  // namespace scant
