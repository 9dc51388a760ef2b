#include "compress/export/compressed_tensors_scheme.h"

#include <fmt/format.h>

#include <array>

#include "compress/export/coded_folder.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;
using Layout = CompressedTensorsScheme::Layout;

[[noreturn]] void refuse(const ExportedWeight& weight, const std::string& problem,
                         const std::string& nearest) {
  refuse_weight(weight, kCompressedTensors, problem, nearest);
}

Json arguments(int bits, const char* type, bool symmetric, const Granularity& granularity,
               const char* row_strategy) {
  const bool group = granularity.kind == Granularity::Kind::kGroup;
  const bool tensor = granularity.kind == Granularity::Kind::kTensor;
  return {{"num_bits", bits},
          {"type", type},
          {"symmetric", symmetric},
          {"group_size", group ? Json(granularity.size) : Json()},
          {"strategy", group    ? "group"
                       : tensor ? "tensor"
                                : row_strategy},
          {"dynamic", false}};
}

/// Elements that have no place there, and what is nearest to each.
std::string nearest_element(const NumberFormat& format) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kNearest = {{
      {"ternary", "int2"},
      {"binary", "int2"},
      {"nf4", "int4:g64"},
      {"hbfp8", "int8:g64"},
      {"hbfp6", "int6:g64"},
      {"hbfp4", "int4:g64"},
      {"mxint8", "int8:g32"},
      {"mxfp8_e5m2", "mxfp8_e4m3"},
      {"mxfp6_e3m2", "mxfp6_e2m3"},
  }};
  for (const auto& [element, nearest] : kNearest) {
    if (format.element_name() == element) return std::string(nearest);
  }
  return format.code_bits() == 4 ? "nvfp4" : "fp8_e4m3";
}

/// The blocks of a microscaling format and of NVFP4 are part of its definition.
void require_own_blocks(const ExportedWeight& weight) {
  const NumberFormat& format = weight.entry.spec.format;
  if (format.granularity == format.rules().granularity) return;
  refuse(weight, fmt::format("is {}, whose blocks it fixes", format.spelling()),
         format.element_name());
}

CompressedTensorsScheme integers(const ExportedWeight& weight, const IntElement& element) {
  const NumberFormat& format = weight.entry.spec.format;
  const bool symmetric = element.grid != IntElement::Grid::kAsym;
  CompressedTensorsScheme scheme;
  scheme.weights = arguments(element.bits, "int", symmetric, format.granularity, "channel");
  const bool integer_inputs =
      weight.inputs && std::holds_alternative<IntElement>(weight.inputs->element);
  scheme.layout = integer_inputs ? Layout::kInt8 : Layout::kPacked;
  scheme.format = integer_inputs ? "int-quantized" : "pack-quantized";
  return scheme;
}

CompressedTensorsScheme floats(const ExportedWeight& weight) {
  const NumberFormat& format = weight.entry.spec.format;
  if (format.element_name() != "fp8_e4m3") {
    refuse(weight, "is " + format.spelling(), nearest_element(format));
  }
  if (weight.inputs && std::holds_alternative<IntElement>(weight.inputs->element)) {
    refuse(weight, "is fp8_e4m3 with integer inputs", "--activations fp8_e4m3");
  }
  return {Layout::kFloat8, "float-quantized",
          arguments(8, "float", true, format.granularity, "channel"), nullptr};
}

/// Floats in blocks of their own, as weights or inputs: NVFP4 and the microscaling formats.
Json block_arguments(const NumberFormat& format) {
  const bool two_level = format.rules().two_level;
  Json json = arguments(format.code_bits(), "float", true, format.rules().granularity, "");
  if (two_level) json["strategy"] = "tensor_group";
  const char* scales = two_level ? "torch.float8_e4m3fn" : "torch.uint8";
  json["scale_dtype"] = scales;
  json["zp_dtype"] = scales;
  return json;
}

CompressedTensorsScheme nvfp4(const ExportedWeight& weight) {
  require_own_blocks(weight);
  return {Layout::kString, "nvfp4-pack-quantized", block_arguments(weight.entry.spec.format),
          nullptr};
}

CompressedTensorsScheme microscaling(const ExportedWeight& weight, const MxElement& element) {
  require_own_blocks(weight);
  const Json arguments = block_arguments(weight.entry.spec.format);
  switch (element.kind) {
    case MxElement::Kind::kFp4:
      return {Layout::kString, "mxfp4-pack-quantized", arguments, nullptr};
    case MxElement::Kind::kFp6E2M3:
      return {Layout::kString, "mxfp6-pack-quantized", arguments, nullptr};
    case MxElement::Kind::kFp8E4M3:
      return {Layout::kFloat8, "mxfp8-quantized", arguments, nullptr};
    case MxElement::Kind::kFp8E5M2:
    case MxElement::Kind::kFp6E3M2:
    case MxElement::Kind::kInt8:
      break;
  }
  refuse(weight, "is " + weight.entry.spec.format.spelling(),
         nearest_element(weight.entry.spec.format));
}

CompressedTensorsScheme weights_scheme(const ExportedWeight& weight) {
  const NumberFormat& format = weight.entry.spec.format;
  if (const auto* element = std::get_if<IntElement>(&format.element)) {
    return integers(weight, *element);
  }
  if (std::holds_alternative<FloatElement>(format.element)) return floats(weight);
  if (std::holds_alternative<Nvfp4Element>(format.element)) return nvfp4(weight);
  if (const auto* element = std::get_if<MxElement>(&format.element)) {
    return microscaling(weight, *element);
  }
  refuse(weight, "is " + format.spelling(), nearest_element(format));
}

/// Inputs in blocks of their own: NVFP4 with a measured tensor scale, MX.
Json block_inputs(const ExportedWeight& weight) {
  const NumberFormat& format = *weight.inputs;
  const bool two_level = format.rules().two_level;
  if (two_level && weight.input_method.kind != ActivationMethod::Kind::kStatic) {
    refuse(weight,
           "has inputs of nvfp4 with a tensor scale per token, where readers take a "
           "measured one",
           "--activations nvfp4 --activation-method static, or --weights-only");
  }
  Json json = block_arguments(format);
  json["dynamic"] = two_level ? Json("local") : Json(true);
  return json;
}

/// Inputs of integers and FP8, whose scales readers choose as we do.
Json inputs_arguments(const ExportedWeight& weight) {
  const NumberFormat& format = *weight.inputs;
  const auto cannot = [&](const std::string& problem, const std::string& nearest) {
    refuse(weight, fmt::format("has inputs of {}, {}", format.spelling(), problem), nearest);
  };
  const auto* integer = std::get_if<IntElement>(&format.element);
  if (integer == nullptr && format.element_name() != "fp8_e4m3") {
    cannot("for which readers choose other scales than scant",
           "--activations int8 or fp8_e4m3, or --weights-only");
  }
  if (integer != nullptr && integer->grid == IntElement::Grid::kNarrow) {
    cannot("without the lowest code", "--activations " + integer->name());
  }
  if (format.mse || format.stochastic || format.scale_storage != ScaleStorage::kF32) {
    NumberFormat plain = format;
    plain.mse = plain.stochastic = false;
    plain.scale_storage = ScaleStorage::kF32;
    cannot("of which readers take the element and granularity only",
           "--activations " + plain.spelling());
  }
  if (weight.input_method.kind == ActivationMethod::Kind::kCrossQuant) {
    cannot("by crossquant, which no reader does", "--activation-method static or dynamic");
  }
  const bool symmetric = integer == nullptr || integer->grid != IntElement::Grid::kAsym;
  Json arguments_now = arguments(format.code_bits(), integer != nullptr ? "int" : "float",
                                 symmetric, format.granularity, "token");
  if (weight.input_method.kind == ActivationMethod::Kind::kStatic) {
    arguments_now["strategy"] = "tensor";  // one measured scale for all tokens
    arguments_now["group_size"] = nullptr;
  } else {
    arguments_now["dynamic"] = true;
  }
  return arguments_now;
}

/// Of inputs that stand beside such weights; nothing if readers multiply them with others only.
bool are_blocks_beside(const NumberFormat& inputs, const NumberFormat& weights) {
  if (inputs.mse || inputs.stochastic) return false;
  if (inputs.rules().two_level) return weights.rules().two_level;
  const auto* element = std::get_if<MxElement>(&inputs.element);
  const bool known = element != nullptr && (element->kind == MxElement::Kind::kFp4 ||
                                            element->kind == MxElement::Kind::kFp6E2M3 ||
                                            element->kind == MxElement::Kind::kFp8E4M3);
  return known && std::holds_alternative<MxElement>(weights.element) &&
         inputs.granularity == inputs.rules().granularity;
}

}  // namespace

CompressedTensorsScheme compressed_tensors_scheme(const ExportedWeight& weight) {
  CompressedTensorsScheme scheme = weights_scheme(weight);
  require_whole_groups(weight, kCompressedTensors);
  if (!weight.inputs) return scheme;
  const NumberFormat& format = weight.entry.spec.format;
  if (are_blocks_beside(*weight.inputs, format)) {
    scheme.inputs = block_inputs(weight);
    return scheme;
  }
  if (format.rules().two_level || std::holds_alternative<MxElement>(format.element)) {
    const bool two_level = format.rules().two_level;
    refuse(weight,
           fmt::format("is {} with inputs of {}", format.spelling(), weight.inputs->spelling()),
           two_level ? "--activations nvfp4 --activation-method static, or --weights-only"
                     : "--activations mxfp8_e4m3, or --weights-only");
  }
  scheme.inputs = inputs_arguments(weight);
  return scheme;
}

}  // namespace scant
