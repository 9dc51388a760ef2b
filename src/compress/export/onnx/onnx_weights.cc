#include "compress/export/onnx/onnx_weights.h"

#include <fmt/format.h>

#include <algorithm>

#include "compress/export/coded_folder.h"
#include "compress/export/dense_target.h"
#include "compress/export/onnx/onnx_codes.h"
#include "compress/export/onnx/onnx_inputs.h"
#include "core/error.h"

namespace scant {
namespace {

constexpr int64_t kPieceValues = int64_t{1} << 20;

/// work(values) for all values of a tensor, in pieces.
template <typename Work>
void for_values(const Checkpoint& checkpoint, const StoredTensor& tensor, const Work& work) {
  const int64_t row = std::max<int64_t>(tensor.row_size(), 1);
  const int64_t step = std::max<int64_t>(1, kPieceValues / row);
  std::vector<float> values;
  for (int64_t begin = 0; begin < tensor.rows(); begin += step) {
    const int64_t count = std::min(step, tensor.rows() - begin);
    values.resize(static_cast<size_t>(count * row));
    checkpoint.read_rows(tensor, begin, count, values);
    work(std::span<const float>(values));
  }
}

/// The type in which a tensor's values are exact: that of the model it was made from, or F32.
DType exact_type(const Checkpoint& checkpoint, const StoredTensor& tensor) {
  const PackedEntry* entry = checkpoint.packed_entry_of(tensor);
  if (entry == nullptr) return DType::kF32;
  bool exact = true;
  for_values(checkpoint, tensor, [&](std::span<const float> values) {
    exact = exact && is_exact_in(values, entry->dtype);
  });
  return exact ? entry->dtype : DType::kF32;
}

}  // namespace

OnnxWeights::OnnxWeights(const ExportJob& job, OnnxGraph& graph, Context& context)
    : job_(job), graph_(graph), context_(context) {}

const ExportedWeight* OnnxWeights::coded_entry(const std::string& tensor) const {
  const auto found = std::ranges::find(job_.weights, tensor, &ExportedWeight::tensor);
  if (found == job_.weights.end() || found->entry.spec.format.is_plain()) return nullptr;
  return &*found;
}

void OnnxWeights::report_progress() {
  if (context_.cancelled()) throw Error("onnx", "stopped; nothing was written");
  const auto total = static_cast<int64_t>(job_.model.checkpoint().tensors().size());
  context_.progress({"export", std::min(++written_, total), total, "tensors"});
}

void OnnxWeights::count(const std::string& tensor, int64_t bytes) {
  const auto found = std::ranges::find(job_.weights, tensor, &ExportedWeight::tensor);
  if (found == job_.weights.end()) return;
  if (!found->entry.spec.format.is_plain()) ++result_.weights;
  if (!found->entry.spec.pattern) return;
  ++result_.pruned;
  result_.pruned_bytes += bytes;
  result_.pruned_source_bytes += job_.model.checkpoint().require(tensor).bytes;
}

const std::string& OnnxWeights::plain(const std::string& tensor) {
  const auto found = plain_types_.find(tensor);
  if (found == plain_types_.end()) {
    write_plain(job_.model.checkpoint().require(tensor));
    report_progress();
  }
  return plain_types_.find(tensor)->first;
}

void OnnxWeights::write_plain(const StoredTensor& tensor) {
  const Checkpoint& checkpoint = job_.model.checkpoint();
  const TensorView raw = checkpoint.raw(tensor);
  const bool copied = !job_.options.dtype && raw.data != nullptr;
  const DType dtype = job_.options.dtype ? *job_.options.dtype
                      : copied           ? raw.dtype
                                         : exact_type(checkpoint, tensor);
  graph_.begin_weight(tensor.name, onnx_type_of(dtype), tensor.shape);
  bool inexact = false;
  if (copied) {
    graph_.append({raw.data, raw.bytes()});
  } else {
    for_values(checkpoint, tensor, [&](std::span<const float> values) {
      graph_.append(round_values(values, dtype, tensor.name, inexact));
    });
  }
  graph_.end_weight();
  rounded_ += inexact ? 1 : 0;
  plain_types_.emplace(tensor.name, onnx_type_of(dtype));
  count(tensor.name, element_count(tensor.shape) * static_cast<int64_t>(dtype_size(dtype)));
}

std::string OnnxWeights::widened(const std::string& stored, OnnxType type) {
  if (type == OnnxType::kFloat) return stored;
  const auto found = widened_.find(stored);
  if (found != widened_.end()) return found->second;
  graph_.set_scope(stored);
  std::string name = graph_.add("Cast", {stored}, {{"to", static_cast<int64_t>(OnnxType::kFloat)}});
  return widened_.emplace(stored, std::move(name)).first->second;
}

std::string OnnxWeights::parameter(const std::string& tensor) {
  const std::string& stored = plain(tensor);
  return widened(stored, plain_types_.at(stored));
}

const OnnxWeights::Coded& OnnxWeights::coded(const ExportedWeight& weight) {
  const auto found = coded_.find(weight.tensor);
  if (found != coded_.end()) return found->second;
  const Checkpoint& checkpoint = job_.model.checkpoint();
  const auto matrix = checkpoint.packed(checkpoint.require(weight.tensor));
  Coded coded{.storage = onnx_storage(weight)};
  const OnnxCodes codes(*matrix, coded.storage, !weight.linear);
  coded.codes = weight.tensor + ".codes";
  int64_t bytes = codes.write_codes(graph_, coded.codes);
  coded.scales = weight.tensor + ".scales";
  bytes += codes.write_scales(graph_, coded.scales);
  if (coded.storage.zero_points) {
    coded.zero_points = weight.tensor + ".zero_points";
    bytes += codes.write_zero_points(graph_, coded.zero_points);
  }
  if (matrix->spec().column_factors) {
    std::vector<float> factors;
    for (int64_t c = 0; c < matrix->cols(); ++c) factors.push_back(matrix->column_factor(c));
    coded.columns = weight.tensor + ".column_factors";
    graph_.begin_weight(coded.columns, OnnxType::kFloat, {matrix->cols()});
    graph_.append(std::as_bytes(std::span<const float>(factors)));
    graph_.end_weight();
  }
  if (matrix->spec().column_order) {
    const auto order = matrix->column_order();
    const std::vector<int64_t> columns(order.begin(), order.end());
    coded.order = weight.tensor + ".column_order";
    graph_.begin_weight(coded.order, OnnxType::kInt64, {matrix->cols()});
    graph_.append(std::as_bytes(std::span<const int64_t>(columns)));
    graph_.end_weight();
  }
  count(weight.tensor, bytes);
  report_progress();
  return coded_.emplace(weight.tensor, std::move(coded)).first->second;
}

std::string OnnxWeights::times_columns(const std::string& x, const Coded& coded) {
  return coded.columns.empty() ? x : graph_.add("Mul", {x, coded.columns});
}

std::string OnnxWeights::arranged_inputs(const std::string& x, const Coded& coded) {
  if (coded.order.empty()) return times_columns(x, coded);
  return graph_.add("Gather", {x, coded.order}, {{"axis", int64_t{-1}}});
}

std::string OnnxWeights::dequantized(const PackedSpec& spec, const Coded& coded,
                                     const std::string& codes, const std::string& scales,
                                     const std::string& zero_points) {
  OnnxGraph::Names inputs = {codes, scales};
  if (!zero_points.empty()) inputs.push_back(zero_points);
  OnnxAttributes attributes;
  switch (onnx_scales(spec, coded.storage)) {
    case OnnxScales::kOne:
      break;
    case OnnxScales::kRows:
      attributes = {{"axis", int64_t{0}}};
      break;
    case OnnxScales::kBlocks:
      attributes = {{"axis", int64_t{1}}, {"block_size", spec.format.granularity.size}};
      break;
  }
  return graph_.add("DequantizeLinear", inputs, attributes);
}

std::string OnnxWeights::rows(const std::string& tensor, const std::string& indices) {
  const ExportedWeight* weight = coded_entry(tensor);
  if (weight == nullptr) {
    const std::string& stored = plain(tensor);
    graph_.set_scope(tensor);
    std::string some = graph_.add("Gather", {stored, indices}, {{"axis", int64_t{0}}});
    if (plain_types_.at(stored) == OnnxType::kFloat) return some;
    return graph_.add("Cast", {some}, {{"to", static_cast<int64_t>(OnnxType::kFloat)}});
  }
  const Coded& table = coded(*weight);
  const std::string scales = widened(table.scales, table.storage.scale_type);
  graph_.set_scope(tensor);
  const auto gathered = [&](const std::string& part) {
    return part.empty() ? part : graph_.add("Gather", {part, indices}, {{"axis", int64_t{0}}});
  };
  if (table.storage.kind == OnnxStorage::Kind::kBlocks) {
    OnnxGraph::Names inputs = {table.codes, indices, scales};
    if (!table.zero_points.empty()) inputs.push_back(table.zero_points);
    return times_columns(graph_.add_microsoft("GatherBlockQuantized", inputs,
                                              {{"bits", int64_t{4}},
                                               {"block_size", table.storage.block},
                                               {"gather_axis", int64_t{0}},
                                               {"quantize_axis", int64_t{1}}}),
                         table);
  }
  const PackedSpec& spec = weight->entry.spec;
  const bool one = onnx_scales(spec, table.storage) == OnnxScales::kOne;
  const std::string values =
      dequantized(spec, table, gathered(table.codes), one ? scales : gathered(scales),
                  one ? table.zero_points : gathered(table.zero_points));
  return times_columns(values, table);
}

std::string OnnxWeights::block_product(const ExportedWeight& weight, const Coded& coded,
                                       const std::string& x) {
  const PackedSpec& spec = weight.entry.spec;
  const int64_t block = coded.storage.block;
  const int64_t blocks = (spec.cols + block - 1) / block;
  std::string codes = coded.codes, scales = coded.scales, zero_points = coded.zero_points;
  if (!weight.linear) {  // a table that is the head, too: the same bytes in other shapes
    const auto view = [&](std::string& name, const Shape& shape) {
      if (name.empty()) return;
      graph_.add_view(name + ".of_head", name, shape);
      name += ".of_head";
    };
    view(codes, {spec.rows, blocks, block / 2});
    view(scales, {spec.rows * blocks});
    view(zero_points, {spec.rows * ((blocks + 1) / 2)});
  }
  scales = widened(scales, coded.storage.scale_type);
  OnnxGraph::Names inputs = {x, codes, scales};
  if (!zero_points.empty()) inputs.push_back(zero_points);
  graph_.set_scope(weight.module);
  return graph_.add_microsoft(
      "MatMulNBits", inputs,
      {{"K", spec.cols}, {"N", spec.rows}, {"bits", int64_t{4}}, {"block_size", block}});
}

std::string OnnxWeights::quantized_inputs(const LinearInfo& layer, const std::string& x) {
  const auto& all = job_.model.activations();
  const auto how = all.find(layer.name);
  if (job_.options.weights_only || how == all.end()) return x;
  for (const Quantized& known : quantized_) {
    if (known.x == x && known.how->same_as(how->second)) return known.result;
  }
  graph_.set_scope(layer.name + ".inputs");
  quantized_.push_back(
      {x, add_quantized_inputs(graph_, x, layer.inputs, how->second), &how->second});
  return quantized_.back().result;
}

std::string OnnxWeights::linear(const LinearInfo& layer, const std::string& x) {
  const std::string inputs = quantized_inputs(layer, x);
  const std::string bias = layer.bias ? parameter(layer.name + ".bias") : "";
  const ExportedWeight* weight = coded_entry(layer.tensor);
  OnnxGraph::Names operands;
  OnnxAttributes attributes;
  if (weight == nullptr) {
    operands = {inputs, parameter(layer.tensor)};
    if (!layer.transposed) attributes = {{"transB", int64_t{1}}};
  } else {
    const Coded& stored = coded(*weight);
    const PackedSpec& spec = weight->entry.spec;
    graph_.set_scope(layer.name);
    const std::string arranged = arranged_inputs(inputs, stored);
    if (stored.storage.kind == OnnxStorage::Kind::kBlocks) {
      const std::string product = block_product(*weight, stored, arranged);
      return bias.empty() ? product : graph_.add("Add", {product, bias});
    }
    const std::string scales = widened(stored.scales, stored.storage.scale_type);
    graph_.set_scope(layer.name);
    operands = {arranged, dequantized(spec, stored, stored.codes, scales, stored.zero_points)};
    attributes = {{"transB", int64_t{1}}};
  }
  if (!bias.empty()) operands.push_back(bias);
  graph_.set_scope(layer.name);
  return graph_.add("Gemm", operands, attributes);
}

ExportResult OnnxWeights::result() const {
  ExportResult result = result_;
  if (rounded_ > 0) {
    result.notes.push_back(
        fmt::format("{} tensors hold values that {} does not have: they were rounded to nearest.",
                    rounded_, dtype_name(*job_.options.dtype)));
  }
  return result;
}

}  // namespace scant
