#include "report/study_json.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "core/version.h"

namespace scant {
namespace {

using Json = nlohmann::ordered_json;

/// The number with so many significant digits; JSON then prints the shortest text that gives it.
Json number(double value, int digits = 6) {
  if (!std::isfinite(value)) return nullptr;
  return std::strtod(fmt::format("{:.{}g}", value, digits).c_str(), nullptr);
}

Json estimate(const Estimate& e, int digits = 6) {
  return Json::array(
      {number(e.value, digits), number(e.interval.low, digits), number(e.interval.high, digits)});
}

Json numbers(const std::vector<double>& values, int digits = 6) {
  Json array = Json::array();
  for (const double value : values) array.push_back(number(value, digits));
  return array;
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

/// An array with one line per entry.
std::string lines(const Json& array) {
  std::string text = "[";
  for (const Json& entry : array) {
    text += (text.size() > 1 ? ",\n" : "\n") +
            entry.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return text + (array.empty() ? "]" : "\n]");
}

/// {"columns": [...], "rows": [[...], ...]}
struct Table {
  std::vector<std::string> columns;
  Json rows = Json::array();

  std::string text() const {
    return "{\"columns\":" + Json(columns).dump() + ",\"rows\":" + lines(rows) + "}";
  }
};

std::string layers_text(const Study& study) {
  Table table{{"name", "kind", "block", "outputs", "inputs", "dense_bytes"}};
  for (const StudyLayer& layer : study.layers) {
    const LinearInfo& info = layer.info;
    table.rows.push_back(
        {info.name, info.kind, info.block, info.outputs, info.inputs, layer.dense_bytes});
  }
  return table.text();
}

Json cell_json(const Cell& cell, const std::optional<CellEstimates>& estimates) {
  const CellSpec& spec = cell.spec;
  Json json;
  json["name"] = spec.name();
  json["sparsity"] = spec.sparsity ? Json(spec.sparsity->spelling()) : Json();
  json["format"] = spec.format ? Json(spec.format->spelling()) : Json();
  json["order"] = spec.order ? Json(order_name(*spec.order)) : Json();
  json["activations"] = spec.activations;
  json["failure"] = or_null(cell.failure);
  const bool there = estimates.has_value();
  json["bits_per_weight"] = there ? number(cell.bits_per_weight) : Json();
  json["bytes"] = there ? Json(cell.bytes) : Json();
  json["perplexity"] = there ? estimate(estimates->perplexity, 9) : Json();
  json["nll"] = there ? estimate(estimates->nll, 9) : Json();
  const bool kl = there && !std::isnan(estimates->kl.value);
  json["kl"] = kl ? estimate(estimates->kl) : Json();
  const bool paired = there && !std::isnan(estimates->nll_difference.value);
  json["nll_difference"] = paired ? estimate(estimates->nll_difference) : Json();
  json["kl_p99"] = there ? number(cell.kl_p99) : Json();
  json["top1_agreement"] = there ? number(cell.top1_agreement) : Json();
  json["growth"] = there ? numbers(cell.growth) : Json();
  Json windows;
  if (there) {
    windows = Json::array();
    for (size_t i = 0; i < cell.nll.sums.size(); ++i) {
      windows.push_back(number(cell.nll.sums[i] / cell.nll.counts[i], 9));
    }
  }
  json["window_nll"] = std::move(windows);
  return json;
}

std::string cells_text(const Study& study, const StudyAnalysis& analysis) {
  Json array = Json::array();
  for (size_t i = 0; i < study.cells.size(); ++i) {
    array.push_back(cell_json(study.cells[i], analysis.cells[i]));
  }
  return lines(array);
}

std::string combinations_text(const StudyAnalysis& analysis) {
  Json array = Json::array();
  const auto ratio = [](const Threshold& t) { return t.ratio ? estimate(*t.ratio) : Json(); };
  for (const Combination& c : analysis.combinations) {
    array.push_back({{"cell", c.cell},
                     {"sparsity_cell", c.sparsity_cell},
                     {"format_cell", c.format_cell},
                     {"threshold_perplexity", estimate(c.perplexity.threshold, 9)},
                     {"threshold_nll", estimate(c.nll.threshold, 9)},
                     {"excess_perplexity", estimate(c.perplexity.excess)},
                     {"excess_nll", estimate(c.nll.excess)},
                     {"ratio_perplexity", ratio(c.perplexity)},
                     {"ratio_nll", ratio(c.nll)},
                     {"dominant", dominant_name(c.dominant)},
                     {"verdict", verdict_name(c.verdict)},
                     {"reason", c.reason}});
  }
  return lines(array);
}

std::string orders_text(const Study& study, const StudyAnalysis& analysis) {
  Json array = Json::array();
  for (const OrderDifference& difference : analysis.orders) {
    const CellSpec& spec = study.cells[difference.cell].spec;
    const CellSpec& against = study.cells[difference.against_cell].spec;
    array.push_back(
        {{"sparsity", spec.sparsity->spelling()},
         {"format", spec.format->spelling()},
         {"activations", spec.activations},
         {"order", order_name(*spec.order)},
         {"against", order_name(*against.order)},
         {"cell", difference.cell},
         {"against_cell", difference.against_cell},
         {"perplexity_difference", estimate(difference.perplexity)},
         {"nll_difference", estimate(difference.nll)},
         {"better", difference.better ? Json(order_name(*difference.better)) : Json()}});
  }
  return lines(array);
}

std::string tensors_text(const Study& study) {
  Table table{{"layer", "sparsity", "format", "weight", "sparsity_only", "format_only",
               "sparsify_first", "quantize_first", "joint", "excess", "exact_excess", "agrees",
               "collapsed", "swapped", "premise"}};
  for (const TensorFigures& t : study.tensors) {
    table.rows.push_back({t.layer, t.sparsity, t.format, number(t.weight), number(t.sparsity_only),
                          number(t.format_only), number(t.sparsify_first), number(t.quantize_first),
                          number(t.joint), number(t.excess), number(t.exact_excess), t.agrees,
                          t.collapsed, t.swapped, or_null(t.premise)});
  }
  return table.text();
}

/// Rows name their cell by index: it holds pattern, format, order and activations.
std::string layer_errors_text(const Study& study) {
  Table table{{"layer", "cell", "sparsity_only", "format_only", "combined", "interaction", "share",
               "cosine", "cross"}};
  constexpr int kDigits = 3;  // means over calibration rows; the largest table by far
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < study.cells.size(); ++i) index.emplace(study.cells[i].spec.name(), i);
  for (const LayerFigures& l : study.layer_figures) {
    const std::string cell = cell_name(l.sparsity, l.format, l.order, l.activations);
    table.rows.push_back({l.layer, index.at(cell), number(l.sparsity_only, kDigits),
                          number(l.format_only, kDigits), number(l.combined, kDigits),
                          number(l.interaction, kDigits), number(l.share, kDigits),
                          number(l.cosine, kDigits), number(l.cross, kDigits)});
  }
  return table.text();
}

std::string pictures_text(const Study& study) {
  Json array = Json::array();
  for (const TensorPicture& picture : study.pictures) {
    Json pairs = Json::array();
    for (const SwappedPair& pair : picture.pairs) {
      pairs.push_back(Json::array({number(pair.pruned), number(pair.kept), number(pair.value)}));
    }
    array.push_back({{"layer", picture.layer},
                     {"sparsity", picture.sparsity},
                     {"format", picture.format},
                     {"range", number(picture.range)},
                     {"scale", number(picture.scale)},
                     {"before", picture.before},
                     {"sparsify_first", picture.sparsify_first},
                     {"quantize_first", picture.quantize_first},
                     {"swapped", picture.swapped},
                     {"pairs", std::move(pairs)}});
  }
  return lines(array);
}

std::string sensitivity_text(const Study& study, const StudyAnalysis& analysis) {
  if (!study.sensitivity) return "null";
  const Sensitivity& ranking = *study.sensitivity;
  const std::string name = ranking.cell.name();
  int64_t cell = -1;
  for (size_t i = 0; i < study.cells.size() && cell < 0; ++i) {
    if (study.cells[i].spec.name() == name) cell = static_cast<int64_t>(i);
  }
  Table table{{"layer", "alone", "exempt"}};
  for (size_t i = 0; i < ranking.layers.size(); ++i) {
    const LayerGain& gain = analysis.sensitivity[i];
    table.rows.push_back({ranking.layers[i].layer, estimate(gain.alone), estimate(gain.exempt)});
  }
  return fmt::format("{{\"cell\":{},\"name\":{},\"dense_nll\":{},\"full_nll\":{},\"layers\":{}}}",
                     cell, Json(name).dump(), number(ranking.dense.value, 9).dump(),
                     number(ranking.full.value, 9).dump(), table.text());
}

std::string advice_text(const std::vector<Advice>& advice) {
  Json array = Json::array();
  for (const Advice& one : advice) {
    Json figures = Json::array();
    for (const auto& [label, value] : one.figures) {
      figures.push_back(Json::array({label, number(value)}));
    }
    array.push_back({{"text", one.text}, {"figures", std::move(figures)}});
  }
  return lines(array);
}

std::string flat(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string study_json(const Study& study, const StudyAnalysis& analysis,
                       const std::vector<Advice>& advice) {
  const StudyInput& input = study.input;
  const StudyTimes& times = study.times;
  const std::vector<std::pair<std::string, std::string>> entries = {
      {"schema", "\"scant-interplay\""},
      {"version", std::to_string(kStudyJsonVersion)},
      {"scant", flat(Json(kVersion))},
      {"model", flat({{"name", input.model},
                      {"architecture", input.architecture},
                      {"parameters", input.parameters},
                      {"linear_weights", input.linear_weights}})},
      {"protocol", flat({{"text", input.text},
                         {"calibration", input.calibration},
                         {"methods", or_null(input.methods)},
                         {"tokens", input.tokens},
                         {"windows", input.windows},
                         {"window", input.window},
                         {"calibration_tokens", input.calibration_tokens},
                         {"growth_tokens", input.growth_tokens},
                         {"seed", input.seed},
                         {"bootstrap_rounds", kBootstrapRounds}})},
      {"layers", layers_text(study)},
      {"stages", flat(Json(study.stages))},
      {"cells", cells_text(study, analysis)},
      {"combinations", combinations_text(analysis)},
      {"orders", orders_text(study, analysis)},
      {"tensors", tensors_text(study)},
      {"layer_errors", layer_errors_text(study)},
      {"pictures", pictures_text(study)},
      {"sensitivity", sensitivity_text(study, analysis)},
      {"advice", advice_text(advice)},
      {"times", flat({{"forward", number(times.forward)},
                      {"compress", number(times.compress)},
                      {"figures", number(times.figures)},
                      {"head", number(times.head)},
                      {"total", number(times.total)},
                      {"reused", times.reused}})}};
  std::string text = "{\n";
  for (const auto& [key, value] : entries) {
    text += (text.size() > 2 ? ",\n\"" : "\"") + key + "\":" + value;
  }
  return text + "\n}\n";
}

}  // namespace scant
