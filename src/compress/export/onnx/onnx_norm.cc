#include "compress/export/onnx/onnx_norm.h"

#include <vector>

namespace scant {

std::string add_onnx_norm(OnnxGraph& graph, OnnxWeights& weights, const NormSpec& spec,
                          const std::string& x, int64_t width, const std::string& scope) {
  std::string weight = spec.weight.empty() ? "" : weights.parameter(spec.weight);
  const std::string bias = spec.bias.empty() ? "" : weights.parameter(spec.bias);
  graph.set_scope(scope);
  if (spec.kind == NormSpec::Kind::kLayer) {
    if (weight.empty()) {
      weight = graph.numbers(std::vector<float>(static_cast<size_t>(width), 1.0f));
    }
    OnnxGraph::Names inputs = {x, weight};
    if (!bias.empty()) inputs.push_back(bias);
    return graph.add("LayerNormalization", inputs,
                     {{"axis", int64_t{-1}}, {"epsilon", spec.epsilon}});
  }
  // In the form that onnxruntime knows as one operator.
  const std::string square = graph.add("Pow", {x, graph.number(2)});
  const std::string mean = graph.add("ReduceMean", {square, graph.integers({-1})});
  const std::string root =
      graph.add("Sqrt", {graph.add("Add", {mean, graph.number(spec.epsilon)})});
  const std::string normed = graph.add("Div", {x, root});
  return weight.empty() ? normed : graph.add("Mul", {normed, weight});
}

}  // namespace scant
