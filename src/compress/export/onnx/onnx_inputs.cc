#include "compress/export/onnx/onnx_inputs.h"

#include <limits>

namespace scant {
namespace {

/// Integers, or floats of 8 bits.
struct Grid {
  OnnxType type = OnnxType::kInt8;
  bool asymmetric = false;
  bool narrower = false;  ///< than the type: values are cut before
  float lowest = -128, highest = 127;
  float steps = 255;  ///< asymmetric: of the range; else of twice the largest magnitude

  explicit Grid(const NumberFormat& format) {
    if (const auto* element = std::get_if<IntElement>(&format.element)) {
      const IntegerGrid integers = element->integers();
      asymmetric = element->grid == IntElement::Grid::kAsym;
      type = asymmetric ? OnnxType::kUint8 : OnnxType::kInt8;
      lowest = static_cast<float>(integers.lowest);
      highest = static_cast<float>(integers.highest);
      narrower = element->bits < 8 || element->grid == IntElement::Grid::kNarrow;
      steps = element->grid == IntElement::Grid::kNarrow ? 2 * highest : highest - lowest;
    } else {
      const auto& number = std::get<FloatElement>(format.element);
      type = number.name() == "fp8_e4m3" ? OnnxType::kFloat8E4M3 : OnnxType::kFloat8E5M2;
      steps = 2 * number.largest();
    }
  }
};

/// Names of scale and zero point (empty: none), of no dimension or one per row.
struct Scale {
  std::string scale, zero_point;
};

class Quantizer {
 public:
  Quantizer(OnnxGraph& graph, const Grid& grid) : graph_(graph), grid_(grid) {}

  std::string with_static(const std::string& x, const BlockScale& scale) {
    std::string inside = x;
    if (grid_.narrower) {
      const auto zero = static_cast<float>(scale.zero_point);
      inside = graph_.add("Clip", {x, graph_.number((grid_.lowest - zero) * scale.scale),
                                   graph_.number((grid_.highest - zero) * scale.scale)});
    }
    Scale named{graph_.number(scale.scale), ""};
    if (grid_.asymmetric) named.zero_point = graph_.byte(grid_.type, scale.zero_point);
    return there_and_back(inside, named, {});
  }

  /// A scale for every row of x.
  std::string with_dynamic(const std::string& x) {
    return grid_.asymmetric ? by_range(x) : by_magnitude(x);
  }

 private:
  std::string reduced(std::string_view op, const std::string& x) {
    return graph_.add(op, {x, graph_.integers({1})}, {{"keepdims", int64_t{0}}});
  }
  std::string cast(const std::string& x, OnnxType type) {
    return graph_.add("Cast", {x}, {{"to", static_cast<int64_t>(type)}});
  }

  /// reach / steps, the next float32 above where there is none, as scant's scales are: else the
  /// largest magnitude of a row, which lies between two codes, would take the other one. A row of
  /// zeros has some scale above 0.
  std::string scale_of(const std::string& reach, double steps) {
    const std::string wanted =
        graph_.add("Div", {cast(reach, OnnxType::kDouble), graph_.number64(steps)});
    const std::string nearest = cast(cast(wanted, OnnxType::kFloat), OnnxType::kDouble);
    const std::string next = graph_.add("Mul", {nearest, graph_.number64(1 + 0.75 * 0x1p-23)});
    const std::string above =
        graph_.add("Where", {graph_.add("Less", {nearest, wanted}), next, nearest});
    return graph_.add(
        "Max", {cast(above, OnnxType::kFloat), graph_.number(std::numeric_limits<float>::min())});
  }

  std::string by_magnitude(const std::string& x) {
    const std::string largest = reduced("ReduceMax", graph_.add("Abs", {x}));
    const Scale scale{scale_of(largest, grid_.steps / 2), ""};
    return there_and_back(cut(x, scale.scale, graph_.number(0)), scale, by_row());
  }

  std::string by_range(const std::string& x) {
    const std::string zero = graph_.number(0);
    const std::string low = graph_.add("Min", {reduced("ReduceMin", x), zero});
    const std::string high = graph_.add("Max", {reduced("ReduceMax", x), zero});
    const std::string scale = scale_of(graph_.add("Sub", {high, low}), grid_.steps);
    const std::string ratio = graph_.add("Div", {graph_.add("Neg", {low}), scale});
    const std::string point =
        graph_.add("Clip", {graph_.add("Round", {ratio}), zero, graph_.number(grid_.highest)});
    return there_and_back(cut(x, scale, point), {scale, cast(point, grid_.type)}, by_row());
  }

  /// Rows within what the codes reach, where their type reaches further.
  std::string cut(const std::string& x, const std::string& scale, const std::string& zero) {
    if (!grid_.narrower) return x;
    const auto limit = [&](float code) {
      const std::string distance = graph_.add("Sub", {graph_.number(code), zero});
      return graph_.add("Unsqueeze", {graph_.add("Mul", {distance, scale}), graph_.integers({1})});
    };
    return graph_.add("Max", {graph_.add("Min", {x, limit(grid_.highest)}), limit(grid_.lowest)});
  }

  static OnnxAttributes by_row() { return {{"axis", int64_t{0}}}; }

  std::string there_and_back(const std::string& x, const Scale& scale,
                             const OnnxAttributes& attributes) {
    OnnxGraph::Names inputs = {x, scale.scale};
    if (!scale.zero_point.empty()) inputs.push_back(scale.zero_point);
    OnnxAttributes typed = attributes;
    if (scale.zero_point.empty()) {
      typed.push_back({"output_dtype", static_cast<int64_t>(grid_.type)});
    }
    inputs[0] = graph_.add("QuantizeLinear", inputs, typed);
    return graph_.add("DequantizeLinear", inputs, attributes);
  }

  OnnxGraph& graph_;
  const Grid& grid_;
};

}  // namespace

std::string add_quantized_inputs(OnnxGraph& graph, const std::string& x, int64_t width,
                                 const InputQuantization& how) {
  const Grid grid(how.format);
  Quantizer quantizer(graph, grid);
  if (how.scale) return quantizer.with_static(x, *how.scale);
  const Granularity& granularity = how.format.granularity;
  if (granularity.kind != Granularity::Kind::kGroup) return quantizer.with_dynamic(x);
  const std::string groups = graph.add("Reshape", {x, graph.integers({-1, granularity.size})});
  return graph.add("Reshape", {quantizer.with_dynamic(groups), graph.integers({-1, width})});
}

}  // namespace scant
