#include "compress/scant_json.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "checkpoint/vector_file.h"
#include "models/linear_inputs.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;

Json size_json(const StoredSize& size) {
  return {{"layout", size.layout},
          {"bytes", size.total()},
          {"bits_per_weight", size.bits_per_weight()},
          {"codes", size.codes},
          {"positions", size.positions},
          {"scales", size.scales},
          {"zero_points", size.zero_points},
          {"constants", size.constants},
          {"column_factors", size.column_factors},
          {"column_order", size.column_order},
          {"padding", size.padding}};
}

Json error_json(const MatrixError& error) {
  return {{"squared", error.squared},
          {"relative", error.relative},
          {"largest", error.largest},
          {"sparsity_squared", error.sparsity_squared},
          {"quantization_squared", error.quantization_squared}};
}

Json layer_json(const LayerResult& layer) {
  const CompressionSpec& spec = layer.planned.plan.weights;
  Json json;
  json["module"] = layer.planned.info.name;
  json["shape"] = {layer.planned.info.outputs, layer.planned.info.inputs};
  if (spec.pattern) json["sparsity"] = spec.pattern->spelling();
  if (spec.format) json["format"] = spec.format->spelling();
  if (spec.pattern && spec.format) json["order"] = order_name(spec.order);
  json["method"] = method_names(spec);
  json["zeros"] = layer.zeros;
  json["dtype"] = layer.dtype;
  json["size"] = size_json(layer.planned.size);
  json["error"] = error_json(layer.error);
  if (layer.output_error) json["error"]["output_relative"] = *layer.output_error;
  return json;
}

Json calibration_json(const Calibration* calibration) {
  if (calibration == nullptr) return nullptr;
  return {{"file", calibration->source},
          {"windows", calibration->windows.size()},
          {"window", calibration->windows.front().size()},
          {"seed", calibration->seed},
          {"tokens", fingerprint_of_windows(*calibration)},
          {"propagate", calibration->from_compressed ? "compressed" : "dense"},
          {"states", calibration->states.dtype == DType::kBF16 ? "bf16" : "f32"}};
}

/// The order if all layers share one; "mixed" otherwise; null where no layer has two steps.
Json order_json(const CompressionResult& result) {
  std::set<std::string_view> orders;
  for (const LayerResult& layer : result.layers) {
    const CompressionSpec& spec = layer.planned.plan.weights;
    if (spec.pattern && spec.format) orders.insert(order_name(spec.order));
  }
  if (orders.empty()) return nullptr;
  return orders.size() == 1 ? Json(*orders.begin()) : Json("mixed");
}

/// A dynamic format is its spelling; scales that were measured make an object.
Json activations_json(const CompressionResult& result) {
  Json json = Json::object();
  for (const PlannedLayer& layer : result.plan.layers) {
    const auto found = result.inputs.find(layer.info.name);
    if (found == result.inputs.end()) continue;
    const InputQuantization& input = found->second;
    if (!input.method().needs_calibration()) {
      json[layer.info.name] = input.format.spelling();
      continue;
    }
    Json& entry = json[layer.info.name];
    entry["format"] = input.format.spelling();
    entry["method"] = input.method().spelling();
    if (!input.scale) continue;
    entry["scale"] = input.scale->scale;
    if (input.format.rules().zero_point) entry["zero_point"] = input.scale->zero_point;
  }
  return json;
}

}  // namespace

void write_column_maxima(const InputQuantizations& inputs, const AtomicFolder& folder) {
  NamedVectors vectors;
  for (const auto& [module, input] : inputs) {
    if (input.cross) vectors.emplace(module + ".input_maxima", input.cross->column_maxima());
  }
  if (!vectors.empty()) write_vectors(folder.file(kLinearInputsFile), vectors);
}

std::string scant_json(const Model& source, const Recipe& recipe, const Calibration* calibration,
                       const CompressionResult& result, std::string_view version) {
  Json json;
  json["format_version"] = kScantJsonVersion;
  json["scant_version"] = version;
  json["source"] = {
      {"name", std::filesystem::weakly_canonical(source.checkpoint().path()).filename().string()},
      {"container", source.checkpoint().container()},
      {"architecture", source.facts().architecture}};
  json["bits_per_weight"] = result.plan.bits_per_weight();
  json["order"] = order_json(result);
  json["seed"] = recipe.seed;
  json["recipe"] = recipe.to_yaml();
  json["calibration"] = calibration_json(calibration);
  json["sizes"] = {{"compressed_weights", result.plan.weights},
                   {"compressed_bytes", result.plan.compressed_bytes},
                   {"compressed_source_bytes", result.plan.source_bytes},
                   {"other_bytes", result.plan.other_bytes},
                   {"total_bytes", result.plan.compressed_bytes + result.plan.other_bytes}};
  if (!result.refits.empty()) {
    Json blocks = Json::array();
    for (const RefitError& refit : result.refits) {
      blocks.push_back({{"block", refit.block}, {"before", refit.before}, {"after", refit.after}});
    }
    json["refit"] = {{"epochs", recipe.refit_epochs}, {"blocks", std::move(blocks)}};
  }
  json["activations"] = activations_json(result);
  Json rotations = Json::object();
  for (const LinearInfo& info : source.linears()) {
    if (const auto& rotation = info.input_rotation) {
      rotations[info.name] = {{"size", rotation->size()}, {"seed", rotation->seed()}};
    }
  }
  if (!rotations.empty()) json["rotations"] = std::move(rotations);
  Json tensors = Json::object();
  for (const LayerResult& layer : result.layers) {
    tensors[layer.planned.info.tensor] = layer_json(layer);
  }
  json["tensors"] = std::move(tensors);
  return json.dump(2) + "\n";
}

}  // namespace scant
