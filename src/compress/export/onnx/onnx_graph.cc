#include "compress/export/onnx/onnx_graph.h"

#include <fmt/format.h>
#include <onnx_model.pb.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <type_traits>

#include "core/error.h"
#include "core/version.h"

namespace scant {
namespace {

constexpr const char* kMicrosoft = "com.microsoft";

// Weights that readers map into memory start at a page; small ones only where vectors may.
constexpr size_t kPage = 4096;
constexpr size_t kLine = 64;

void set_attribute(const OnnxAttribute& attribute, scant_onnx::AttributeProto& proto) {
  proto.set_name(attribute.name);
  std::visit(
      [&]<typename T>(const T& value) {
        if constexpr (std::is_same_v<T, int64_t>) {
          proto.set_type(scant_onnx::AttributeProto::INT);
          proto.set_i(value);
        } else if constexpr (std::is_same_v<T, float>) {
          proto.set_type(scant_onnx::AttributeProto::FLOAT);
          proto.set_f(value);
        } else if constexpr (std::is_same_v<T, std::string>) {
          proto.set_type(scant_onnx::AttributeProto::STRING);
          proto.set_s(value);
        } else {
          proto.set_type(scant_onnx::AttributeProto::INTS);
          proto.mutable_ints()->Add(value.begin(), value.end());
        }
      },
      attribute.value);
}

void set_value(const std::string& name, OnnxType type, const std::vector<OnnxDimension>& shape,
               scant_onnx::ValueInfoProto& proto) {
  proto.set_name(name);
  auto& tensor = *proto.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(static_cast<int32_t>(type));
  for (const OnnxDimension& size : shape) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if (const auto* known = std::get_if<int64_t>(&size)) {
      dim.set_dim_value(*known);
    } else {
      dim.set_dim_param(std::get<std::string>(size));
    }
  }
}

void set_external(scant_onnx::TensorProto& tensor, const char* key, const std::string& value) {
  auto& entry = *tensor.add_external_data();
  entry.set_key(key);
  entry.set_value(value);
}

}  // namespace

int onnx_type_bits(OnnxType type) {
  switch (type) {
    case OnnxType::kUint4:
    case OnnxType::kInt4:
      return 4;
    case OnnxType::kUint8:
    case OnnxType::kInt8:
    case OnnxType::kFloat8E4M3:
    case OnnxType::kFloat8E5M2:
      return 8;
    case OnnxType::kFloat16:
    case OnnxType::kBfloat16:
      return 16;
    case OnnxType::kFloat:
      return 32;
    case OnnxType::kInt64:
    case OnnxType::kDouble:
      break;
  }
  return 64;
}

OnnxType onnx_type_of(DType dtype) {
  return dtype == DType::kF16    ? OnnxType::kFloat16
         : dtype == DType::kBF16 ? OnnxType::kBfloat16
                                 : OnnxType::kFloat;
}

struct OnnxGraph::Parts {
  explicit Parts(const AtomicFolder& folder)
      : model_file(folder.file(kOnnxModelFile)), data(folder.file(kOnnxDataFile)) {}

  scant_onnx::GraphProto& graph() { return *model.mutable_graph(); }
  scant_onnx::NodeProto& add_node(std::string_view op, const Names& inputs,
                                  const OnnxAttributes& attributes) {
    auto& node = *graph().add_node();
    node.set_op_type(std::string(op));
    for (const std::string& input : inputs) node.add_input(input);
    for (const OnnxAttribute& attribute : attributes) {
      set_attribute(attribute, *node.add_attribute());
    }
    return node;
  }

  scant_onnx::ModelProto model;
  OutputFile model_file, data;
  std::map<std::string, int> weights;         // their places among the initializers
  scant_onnx::TensorProto* weight = nullptr;  // begun
  size_t begin = 0, wanted = 0;               // of its bytes
  int64_t bytes = 0;
};

OnnxGraph::OnnxGraph(const AtomicFolder& folder) : parts_(std::make_unique<Parts>(folder)) {
  auto& model = parts_->model;
  model.set_ir_version(kOnnxIrVersion);
  model.set_producer_name("scant");
  model.set_producer_version(std::string(kVersion));
  model.mutable_graph()->set_name("decoder");
  auto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOnnxOpset);
  auto& own = *model.add_opset_import();
  own.set_domain(kMicrosoft);
  own.set_version(1);
}

OnnxGraph::~OnnxGraph() = default;

std::string OnnxGraph::new_name(std::string_view op) {
  std::string name = scope_.empty() ? std::string(op) : scope_ + "/" + std::string(op);
  const int count = names_[name]++;
  return count == 0 ? name : fmt::format("{}_{}", name, count);
}

std::string OnnxGraph::add(std::string_view op, const Names& inputs,
                           const OnnxAttributes& attributes) {
  return add_split(op, 1, inputs, attributes).front();
}

OnnxGraph::Names OnnxGraph::add_split(std::string_view op, size_t outputs, const Names& inputs,
                                      const OnnxAttributes& attributes) {
  auto& node = parts_->add_node(op, inputs, attributes);
  const std::string name = new_name(op);
  node.set_name(name);
  Names result;
  for (size_t i = 0; i < outputs; ++i) {
    result.push_back(outputs == 1 ? name : fmt::format("{}.{}", name, i));
    node.add_output(result.back());
  }
  return result;
}

std::string OnnxGraph::add_microsoft(std::string_view op, const Names& inputs,
                                     const OnnxAttributes& attributes) {
  std::string name = add(op, inputs, attributes);
  auto& graph = parts_->graph();
  graph.mutable_node(graph.node_size() - 1)->set_domain(kMicrosoft);
  return name;
}

void OnnxGraph::name_value(const std::string& value, const std::string& name) {
  auto& node = parts_->add_node("Identity", {value}, {});
  node.set_name(name + "/Identity");
  node.add_output(name);
}

std::string OnnxGraph::constant(const std::string& key, OnnxType type, const Shape& shape,
                                std::span<const std::byte> bytes) {
  if (!key.empty()) {
    const auto found = shared_.find(key);
    if (found != shared_.end()) return found->second;
  }
  std::string name = fmt::format("constant_{}", names_["constant"]++);
  auto& tensor = *parts_->graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(static_cast<int32_t>(type));
  tensor.mutable_dims()->Add(shape.begin(), shape.end());
  tensor.set_raw_data(bytes.data(), bytes.size());
  if (!key.empty()) shared_.emplace(key, name);
  return name;
}

std::string OnnxGraph::number(float value) {
  return constant(fmt::format("number {:a}", value), OnnxType::kFloat, {},
                  std::as_bytes(std::span(&value, 1)));
}

std::string OnnxGraph::number64(double value) {
  return constant(fmt::format("number64 {:a}", value), OnnxType::kDouble, {},
                  std::as_bytes(std::span(&value, 1)));
}

std::string OnnxGraph::integer(int64_t value) {
  return constant(fmt::format("integer {}", value), OnnxType::kInt64, {},
                  std::as_bytes(std::span(&value, 1)));
}

std::string OnnxGraph::integers(const std::vector<int64_t>& values) {
  return constant(fmt::format("integers {}", fmt::join(values, " ")), OnnxType::kInt64,
                  {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values)));
}

std::string OnnxGraph::numbers(std::span<const float> values) {
  return constant("", OnnxType::kFloat, {static_cast<int64_t>(values.size())},
                  std::as_bytes(values));
}

std::string OnnxGraph::byte(OnnxType type, int value) {
  const auto stored = static_cast<std::byte>(value);
  return constant(fmt::format("byte {} {}", static_cast<int>(type), value), type, {},
                  std::span(&stored, 1));
}

void OnnxGraph::begin_weight(const std::string& name, OnnxType type, const Shape& shape) {
  Parts& parts = *parts_;
  if (parts.weight != nullptr) throw std::logic_error(name + ": begun inside another weight");
  const auto bits =
      static_cast<size_t>(element_count(shape)) * static_cast<size_t>(onnx_type_bits(type));
  parts.wanted = (bits + 7) / 8;
  const size_t step = parts.wanted < kPage ? kLine : kPage;
  const size_t gap = (step - parts.data.position() % step) % step;
  parts.data.write(std::vector<std::byte>(gap));
  parts.begin = parts.data.position();
  parts.weights[name] = parts.graph().initializer_size();
  parts.weight = parts.graph().add_initializer();
  parts.weight->set_name(name);
  parts.weight->set_data_type(static_cast<int32_t>(type));
  parts.weight->mutable_dims()->Add(shape.begin(), shape.end());
  parts.weight->set_data_location(scant_onnx::TensorProto::EXTERNAL);
  set_external(*parts.weight, "location", kOnnxDataFile);
  set_external(*parts.weight, "offset", std::to_string(parts.begin));
  set_external(*parts.weight, "length", std::to_string(parts.wanted));
}

void OnnxGraph::append(std::span<const std::byte> bytes) { parts_->data.write(bytes); }

void OnnxGraph::end_weight() {
  Parts& parts = *parts_;
  if (parts.data.position() - parts.begin != parts.wanted) {
    throw std::logic_error(fmt::format("{}: {} bytes where {} were announced", parts.weight->name(),
                                       parts.data.position() - parts.begin, parts.wanted));
  }
  parts.bytes += static_cast<int64_t>(parts.wanted);
  parts.weight = nullptr;
}

void OnnxGraph::add_view(const std::string& name, const std::string& of, const Shape& shape) {
  auto& graph = parts_->graph();
  const scant_onnx::TensorProto original = graph.initializer(parts_->weights.at(of));
  auto& view = *graph.add_initializer();
  view = original;
  view.set_name(name);
  view.clear_dims();
  view.mutable_dims()->Add(shape.begin(), shape.end());
}

void OnnxGraph::add_input(const std::string& name, OnnxType type,
                          const std::vector<OnnxDimension>& shape) {
  set_value(name, type, shape, *parts_->graph().add_input());
}

void OnnxGraph::add_output(const std::string& name, OnnxType type,
                           const std::vector<OnnxDimension>& shape) {
  set_value(name, type, shape, *parts_->graph().add_output());
}

int64_t OnnxGraph::finish() {
  parts_->data.close();
  std::string text;
  if (!parts_->model.SerializeToString(&text)) {
    throw Error(kOnnxModelFile, "the graph does not fit into a file of ONNX (2 GiB)");
  }
  parts_->model_file.write(text);
  parts_->model_file.close();
  return parts_->bytes;
}

}  // namespace scant
