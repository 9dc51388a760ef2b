#include "compress/interplay/study_store.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "compress/interplay/calibrated_cells.h"
#include "compress/model_fingerprint.h"
#include "core/hash.h"
#include "core/version.h"

namespace scant {
namespace {

using nlohmann::json;

// Raised when what is computed, or how it is kept, changes between releases.
constexpr int kResultsVersion = 2;

std::string text_fingerprint(const TextWindows& text) {
  Hasher hasher;
  for (int64_t i = 0; i < text.size(); ++i) {
    const Sample sample = text.sample(i);
    hasher.add(std::to_string(sample.first_scored));
    hasher.add(std::as_bytes(std::span<const int32_t>(sample.state.tokens)));
  }
  return hasher.hex();
}

/// JSON has no NaN: null stands for it.
json number(double value) { return std::isfinite(value) ? json(value) : json(); }
double number_of(const json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

json metric_json(const Metric& metric) {
  return {{"name", metric.name},
          {"value", metric.value},
          {"sums", metric.sums},
          {"counts", metric.counts}};
}

Metric metric_of(const json& from) {
  Metric metric;
  metric.name = from.at("name").get<std::string>();
  metric.value = from.at("value").get<double>();
  metric.sums = from.at("sums").get<std::vector<double>>();
  metric.counts = from.at("counts").get<std::vector<double>>();
  return metric;
}

json tensor_json(const TensorFigures& t) {
  return {t.layer,
          number(t.weight),
          number(t.sparsity_only),
          number(t.format_only),
          number(t.sparsify_first),
          number(t.quantize_first),
          number(t.joint),
          number(t.excess),
          number(t.exact_excess),
          t.agrees,
          t.collapsed,
          t.swapped,
          t.premise};
}

TensorFigures tensor_of(const json& row) {
  TensorFigures t;
  t.layer = row.at(0).get<int64_t>();
  double* const figures[] = {&t.weight,         &t.sparsity_only, &t.format_only, &t.sparsify_first,
                             &t.quantize_first, &t.joint,         &t.excess,      &t.exact_excess};
  size_t at = 1;
  for (double* figure : figures) *figure = number_of(row.at(at++));
  t.agrees = row.at(at++).get<bool>();
  t.collapsed = row.at(at++).get<int64_t>();
  t.swapped = row.at(at++).get<int64_t>();
  t.premise = row.at(at).get<std::string>();
  return t;
}

json layer_json(const LayerFigures& f) {
  return {f.layer,
          order_name(f.order),
          number(f.sparsity_only),
          number(f.format_only),
          number(f.combined),
          number(f.interaction),
          number(f.share),
          number(f.cosine),
          number(f.cross)};
}

LayerFigures layer_of(const json& row) {
  LayerFigures f;
  f.layer = row.at(0).get<int64_t>();
  f.order = parse_order(row.at(1).get<std::string>());
  double* const figures[] = {&f.sparsity_only, &f.format_only, &f.combined, &f.interaction,
                             &f.share,         &f.cosine,      &f.cross};
  size_t at = 2;
  for (double* figure : figures) *figure = number_of(row.at(at++));
  return f;
}

/// The content under a key; nothing if it does not parse (then it is made anew).
template <typename Parse>
auto parsed(const std::optional<std::string>& content, Parse parse)
    -> std::optional<decltype(parse(json()))> {
  if (!content) return std::nullopt;
  try {
    return parse(json::parse(*content));
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

StudyStore::StudyStore(const ContentStore& store, const Model& model, const TextWindows& text,
                       const TextWindows& calibration, int64_t growth_windows, uint64_t seed,
                       StepMethods methods)
    : store_(store),
      base_(fmt::format("scant={} results={} weights={} seed={}", kVersion, kResultsVersion,
                        model_fingerprint(model), seed)),
      text_(fmt::format("text={} growth={}", text_fingerprint(text), growth_windows)),
      calibration_("calibration=" + text_fingerprint(calibration)),
      methods_(std::move(methods)) {}

std::string StudyStore::cell_key(const CellSpec& spec) const {
  const std::string data_free = fmt::format("{} {} cell={}", base_, text_, spec.name());
  const std::string names = cell_methods(spec, methods_);
  if (names == cell_methods(spec, {})) return data_free;
  return fmt::format("{} {} methods={}", data_free, calibration_, names);
}

std::string StudyStore::figures_key(const Wave& wave, const SparsityPattern& pattern) const {
  std::string orders;
  for (const Order order : wave.orders) orders += std::string(order_name(order)) + ",";
  return fmt::format("{} {} figures={}+{} activations={} orders={}", base_, calibration_,
                     pattern.spelling(), wave.format->spelling(), wave.activations, orders);
}

std::string StudyStore::metric_key(const CellSpec& cell, const std::string& variant) const {
  return fmt::format("{} {} cell={} variant={}", base_, text_, cell.name(), variant);
}

std::optional<Cell> StudyStore::find_cell(const CellSpec& spec) const {
  return parsed(store_.find(cell_key(spec)), [&](const json& from) {
    Cell cell;
    cell.spec = spec;
    cell.bytes = from.at("bytes").get<int64_t>();
    cell.nll = metric_of(from.at("nll"));
    cell.kl = metric_of(from.at("kl"));
    cell.kl_p99 = from.at("kl_p99").get<double>();
    cell.top1_agreement = from.at("top1_agreement").get<double>();
    cell.growth = from.at("growth").get<std::vector<double>>();
    return cell;
  });
}

void StudyStore::put_cell(const Cell& cell) const {
  const json content = {{"bytes", cell.bytes},
                        {"nll", metric_json(cell.nll)},
                        {"kl", metric_json(cell.kl)},
                        {"kl_p99", cell.kl_p99},
                        {"top1_agreement", cell.top1_agreement},
                        {"growth", cell.growth}};
  store_.put(cell_key(cell.spec), content.dump());
}

std::optional<StudyStore::Figures> StudyStore::find_figures(const Wave& wave,
                                                            const SparsityPattern& pattern) const {
  return parsed(store_.find(figures_key(wave, pattern)), [&](const json& from) {
    Figures figures;
    for (const json& row : from.at("tensors")) {
      figures.tensors.push_back(tensor_of(row));
      figures.tensors.back().sparsity = pattern.spelling();
      figures.tensors.back().format = wave.format->spelling();
    }
    for (const json& row : from.at("layers")) {
      LayerFigures& f = figures.layers.emplace_back(layer_of(row));
      f.sparsity = pattern.spelling();
      f.format = wave.format->spelling();
      f.activations = wave.activations;
    }
    return figures;
  });
}

void StudyStore::put_figures(const Wave& wave, const SparsityPattern& pattern,
                             const Figures& figures) const {
  json content = {{"tensors", json::array()}, {"layers", json::array()}};
  for (const TensorFigures& t : figures.tensors) content["tensors"].push_back(tensor_json(t));
  for (const LayerFigures& f : figures.layers) content["layers"].push_back(layer_json(f));
  store_.put(figures_key(wave, pattern), content.dump());
}

std::optional<Metric> StudyStore::find_metric(const CellSpec& cell,
                                              const std::string& variant) const {
  return parsed(store_.find(metric_key(cell, variant)), metric_of);
}

void StudyStore::put_metric(const CellSpec& cell, const std::string& variant,
                            const Metric& metric) const {
  store_.put(metric_key(cell, variant), metric_json(metric).dump());
}

}  // namespace scant
