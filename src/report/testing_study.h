#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace scant {

/// A study in the shape of docs/guide/interplay-json.md with invented, plausible figures, for tests
/// of what reads it.
struct TestingStudy {
  using Json = nlohmann::ordered_json;

  std::string model = "invented-6m";
  std::vector<std::string> patterns = {"50%", "2:4"};
  std::vector<std::string> formats = {"int8",  "int4",  "mxfp8_e4m3", "mxfp6_e3m2",
                                      "mxfp4", "hbfp8", "hbfp6",      "hbfp4"};
  std::vector<std::string> orders = {"sparsify-first", "quantize-first", "joint"};
  bool activations = false;
  bool sensitivity = true;
  bool intervals = true;  ///< false: as with too few windows
  bool extreme = false;   ///< some cells fail, some perplexities are beyond all sense
  int blocks = 6;
  uint64_t seed = 1;

  Json json();

 private:
  Json estimate(double value, double low, double high) const {
    return intervals ? Json{value, low, high} : Json{value, nullptr, nullptr};
  }
  Json estimate(double value, double spread) const {
    return estimate(value, value - spread, value + spread);
  }
  double noise(double spread) { return spread * (uniform_(random_) + uniform_(random_) - 1); }
  double loss_of_pattern(const std::string& pattern) const {
    return pattern == "2:4" ? 0.31 : 0.14;
  }
  double loss_of_format(const std::string& format) const;
  double bits_of(const std::string& format) const;
  int add_cell(const std::string& pattern, const std::string& format, const std::string& order,
               bool with_activations);
  void add_combination(int cell, int sparsity_cell, int format_cell);
  void add_order(int first, int second);
  void add_layers();
  void add_errors(const std::string& pattern, const std::string& format);
  void add_layer_errors(int cell);
  void add_picture(const std::string& pattern, const std::string& format);
  void add_sensitivity();

  Json study_;
  std::mt19937 random_;
  std::uniform_real_distribution<double> uniform_;
  static constexpr int kWindows = 32;
};

inline double TestingStudy::loss_of_format(const std::string& format) const {
  static const std::map<std::string, double> kLoss = {
      {"int8", 0.0012}, {"int4", 0.42},    {"mxfp8_e4m3", 0.004}, {"mxfp6_e3m2", 0.012},
      {"mxfp4", 0.19},  {"hbfp8", 0.0021}, {"hbfp6", 0.018},      {"hbfp4", 0.33}};
  const auto found = kLoss.find(format);
  return found == kLoss.end() ? 0.05 : found->second;
}

inline double TestingStudy::bits_of(const std::string& format) const {
  if (format.empty()) return 16;
  const size_t digit = format.find_first_of("3468");
  return digit == std::string::npos ? 8 : format[digit] - '0' + 0.25;
}

inline int TestingStudy::add_cell(const std::string& pattern, const std::string& format,
                                  const std::string& order, bool with_activations) {
  const double dense = 3.113;
  const double s = pattern.empty() ? 0 : loss_of_pattern(pattern);
  const double q = format.empty() ? 0 : loss_of_format(format) * (with_activations ? 1.6 : 1);
  double loss = s + q;
  if (!order.empty()) loss += 0.35 * s * q / (s + q) * (order == "quantize-first" ? 3 : 1);
  if (order == "joint") loss -= 0.06 * q;
  if (extreme && format == "int4") loss = pattern.empty() ? 4.0 : 8.5;
  const double nll = dense + loss;
  const double spread = loss == 0 ? 0 : 0.004 + 0.05 * loss;
  std::string name = pattern + (pattern.empty() || format.empty() ? "" : "+") + format;
  if (name.empty()) name = "dense";
  if (!order.empty()) name += " " + order;
  if (with_activations) name += " activations";
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  const double kept = pattern.empty() ? 1 : 0.5;
  const double bits = bits_of(format) * kept + (pattern == "2:4" ? 1 : pattern.empty() ? 0 : 0.9);
  Json cell = {{"name", name},
               {"sparsity", text(pattern)},
               {"format", text(format)},
               {"order", text(order)},
               {"activations", with_activations},
               {"failure", nullptr},
               {"bits_per_weight", bits},
               {"bytes", static_cast<int64_t>(bits * 5e6 / 8)},
               {"perplexity", estimate(std::exp(nll), std::exp(nll - 0.06), std::exp(nll + 0.06))},
               {"nll", estimate(nll, 0.06)},
               {"kl", estimate(loss * 0.9, spread)},
               {"nll_difference", estimate(loss, spread)},
               {"kl_p99", loss * 7.5},
               {"top1_agreement", 1 / (1 + 0.5 * loss)},
               {"growth", Json::array()},
               {"window_nll", Json::array()}};
  for (int stage = 0; stage <= blocks; ++stage) {
    cell["growth"].push_back(std::min(1.4, std::sqrt(loss) * 0.5 * std::pow(stage, 0.7)));
  }
  for (int i = 0; i < kWindows; ++i) cell["window_nll"].push_back(nll + noise(0.3));
  if (extreme && format == "hbfp4" && pattern == "2:4") {
    for (const char* key : {"bits_per_weight", "bytes", "perplexity", "nll", "kl", "nll_difference",
                            "kl_p99", "top1_agreement"}) {
      cell[key] = nullptr;
    }
    cell["growth"] = cell["window_nll"] = Json::array();
    cell["failure"] = "model.layers.3.mlp.down_proj.weight: holds an infinity at row 7";
  }
  study_["cells"].push_back(cell);
  return static_cast<int>(study_["cells"].size()) - 1;
}

inline void TestingStudy::add_combination(int cell, int sparsity_cell, int format_cell) {
  const Json& cells = study_["cells"];
  Json row = {{"cell", cell}, {"sparsity_cell", sparsity_cell}, {"format_cell", format_cell}};
  const Json &both = cells[cell], &s = cells[sparsity_cell], &q = cells[format_cell];
  if (both["nll"].is_null() || s["nll"].is_null() || q["nll"].is_null()) {
    for (const char* key :
         {"threshold_perplexity", "threshold_nll", "excess_perplexity", "excess_nll",
          "ratio_perplexity", "ratio_nll", "dominant", "verdict", "reason"}) {
      row[key] = nullptr;
    }
    study_["combinations"].push_back(row);
    return;
  }
  const auto value = [](const Json& of, const char* key) { return of[key][0].get<double>(); };
  const Json& dense = cells[0];
  std::array<int, 2> sign = {};
  const std::array<const char*, 2> scales = {"perplexity", "nll"};
  for (size_t i = 0; i < 2; ++i) {
    const std::string scale = scales[i];
    const double base = value(dense, scales[i]);
    const double sum = value(s, scales[i]) + value(q, scales[i]) - 2 * base;
    const double excess = value(both, scales[i]) - base - sum;
    const double spread = 0.002 * value(both, scales[i]) + 0.06 * std::abs(excess);
    row["threshold_" + scale] = estimate(base + sum, spread);
    row["excess_" + scale] = estimate(excess, spread);
    row["ratio_" + scale] =
        sum < 0.05 ? Json() : estimate((sum + excess) / sum, 0.02 + spread / sum);
    sign[i] = excess > spread ? 1 : excess < -spread ? -1 : 0;
  }
  const double gap = value(s, "nll") - value(q, "nll");
  row["dominant"] = gap > 0.02 ? "sparsity" : gap < -0.02 ? "format" : "neither";
  row["verdict"] = sign[0] != sign[1] ? "depends on the scale"
                   : sign[0] > 0      ? "compounding"
                                      : "orthogonal";
  const std::array<std::string, 3> words = {"below", "within noise", "above"};
  row["reason"] = sign[0] == sign[1]
                      ? words[sign[0] + 1] + " in both"
                      : words[sign[0] + 1] + " in perplexity, " + words[sign[1] + 1] + " in NLL";
  study_["combinations"].push_back(row);
}

inline void TestingStudy::add_order(int first, int second) {
  const Json &a = study_["cells"][first], &b = study_["cells"][second];
  Json row = {{"sparsity", a["sparsity"]},       {"format", a["format"]},
              {"activations", a["activations"]}, {"order", a["order"]},
              {"against", b["order"]},           {"cell", first},
              {"against_cell", second},          {"perplexity_difference", nullptr},
              {"nll_difference", nullptr},       {"better", nullptr}};
  if (!a["nll"].is_null() && !b["nll"].is_null()) {
    const double nll = a["nll"][0].get<double>() - b["nll"][0].get<double>();
    const double ppl = a["perplexity"][0].get<double>() - b["perplexity"][0].get<double>();
    const double spread = 0.003 + 0.1 * std::abs(nll);
    row["nll_difference"] = estimate(nll, spread);
    row["perplexity_difference"] = estimate(ppl, spread * 25);
    if (std::abs(nll) > spread) row["better"] = nll < 0 ? a["order"] : b["order"];
  }
  study_["orders"].push_back(row);
}

inline void TestingStudy::add_layers() {
  study_["layers"] = {{"columns", {"name", "kind", "block", "outputs", "inputs", "dense_bytes"}},
                      {"rows", Json::array()}};
  study_["stages"] = {"embedding"};
  for (int block = 0; block < blocks; ++block) {
    study_["stages"].push_back("block " + std::to_string(block));
    for (const char* path : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                             "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
      const std::string full = "model.layers." + std::to_string(block) + "." + path;
      study_["layers"]["rows"].push_back(
          {full, full.substr(full.rfind('.') + 1), block, 256, 256, 256 * 256 * 4});
    }
  }
}

inline void TestingStudy::add_errors(const std::string& pattern, const std::string& format) {
  const auto rounded = [](double value) { return std::round(value * 1e6) / 1e6; };
  const int layers = static_cast<int>(study_["layers"]["rows"].size());
  const double q = 0.4 * std::sqrt(loss_of_format(format));
  for (int layer = 0; layer < layers; ++layer) {
    const double s = 0.25 + noise(0.05);
    const bool applies = pattern != "50%" || layer % 3 != 0;
    const double excess = loss_of_format(format) < 0.1 ? 0 : rounded(0.1 + noise(0.1));
    study_["tensors"]["rows"].push_back(
        {layer, pattern, format, 16.2, rounded(16.2 * s), rounded(16.2 * q),
         rounded(16.2 * std::hypot(s, q * 0.9)), rounded(16.2 * std::hypot(s, q)),
         rounded(16.2 * std::hypot(s, q * 0.88)), excess, applies ? Json(excess) : Json(), applies,
         excess > 0 ? 9000 + layer : 3, excess > 0 ? 800 + layer : 0,
         applies ? "" : "pruning changed " + std::to_string(layer + 1) + " scales"});
  }
}

inline void TestingStudy::add_layer_errors(int cell) {
  const Json& spec = study_["cells"][static_cast<size_t>(cell)];
  const auto rounded = [](double value) { return std::round(value * 1e6) / 1e6; };
  const int layers = static_cast<int>(study_["layers"]["rows"].size());
  const double q = 0.4 * std::sqrt(loss_of_format(spec["format"].get<std::string>()));
  for (int layer = 0; layer < layers; ++layer) {
    const double s = 0.25 + noise(0.05);
    const double share =
        0.25 * std::sin(layer * 0.7) + noise(0.1) + (spec["order"] == "quantize-first" ? 0.1 : 0);
    study_["layer_errors"]["rows"].push_back(
        {layer, cell, rounded(s), rounded(q), rounded(std::sqrt((s * s + q * q) * (1 + share))),
         rounded(0.1 + noise(0.05)), rounded(share), rounded(0.3 * share), rounded(0.02 * share)});
  }
}

inline void TestingStudy::add_picture(const std::string& pattern, const std::string& format) {
  constexpr int kBins = 81;
  const double range = 0.25, step = range / 7;
  std::vector<int64_t> before(kBins), sparse_first(kBins), quantize_first(kBins);
  const auto count = [&](std::vector<int64_t>& bins, double x) {
    const int bin = static_cast<int>((x + range) / (2 * range) * kBins);
    ++bins[static_cast<size_t>(std::clamp(bin, 0, kBins - 1))];
  };
  const auto rounded = [&](double x) { return std::clamp(std::round(x / step), -7.0, 7.0) * step; };
  Json pairs = Json::array();
  int64_t swapped = 0;
  for (int group = 0; group < 4096; ++group) {
    std::array<double, 4> x = {};
    for (double& value : x) value = std::clamp(noise(0.2) + noise(0.05), -range, range);
    std::array<size_t, 4> by_value = {0, 1, 2, 3}, by_code = {0, 1, 2, 3};
    std::ranges::stable_sort(by_value, std::greater(), [&](size_t i) { return std::abs(x[i]); });
    std::ranges::stable_sort(by_code, std::greater(),
                             [&](size_t i) { return std::abs(rounded(x[i])); });
    for (size_t rank = 0; rank < 4; ++rank) {
      count(before, x[rank]);
      count(sparse_first, rank < 2 ? rounded(x[by_value[rank]]) : 0);
      count(quantize_first, rank < 2 ? rounded(x[by_code[rank]]) : 0);
    }
    const size_t pruned = by_value[1], kept = by_code[1];
    if (std::abs(x[pruned]) > std::abs(x[kept])) {
      ++swapped;
      if (pairs.size() < 8) pairs.push_back({x[pruned], x[kept], std::abs(rounded(x[pruned]))});
    }
  }
  study_["pictures"].push_back({{"layer", 6},
                                {"sparsity", pattern},
                                {"format", format},
                                {"range", range},
                                {"scale", step},
                                {"before", before},
                                {"sparsify_first", sparse_first},
                                {"quantize_first", quantize_first},
                                {"swapped", swapped},
                                {"pairs", pairs}});
}

inline void TestingStudy::add_sensitivity() {
  Json rows = Json::array();
  for (size_t layer = 0; layer < study_["layers"]["rows"].size(); ++layer) {
    const double alone = 0.002 + 0.03 * std::pow(uniform_(random_), 3);
    rows.push_back({layer, estimate(alone, 0.002), estimate(alone * 1.5, 0.004)});
  }
  const int cell = static_cast<int>(study_["cells"].size()) - 1;
  study_["sensitivity"] = {{"cell", cell},
                           {"name", study_["cells"][cell]["name"]},
                           {"dense_nll", estimate(3.113, 0.06)},
                           {"full_nll", estimate(3.9, 0.06)},
                           {"layers", {{"columns", {"layer", "alone", "exempt"}}, {"rows", rows}}}};
}

inline TestingStudy::Json TestingStudy::json() {
  random_.seed(static_cast<std::mt19937::result_type>(seed));
  study_ = {{"schema", "scant-interplay"},
            {"version", 1},
            {"scant", "0.1.0"},
            {"model",
             {{"name", model},
              {"architecture", "LlamaForCausalLM"},
              {"parameters", 5407488},
              {"linear_weights", 4718592}}},
            {"protocol",
             {{"text", "books.txt"},
              {"calibration", "letters.txt"},
              {"tokens", kWindows * 512},
              {"windows", kWindows},
              {"window", 512},
              {"calibration_tokens", 4096},
              {"growth_tokens", 2048},
              {"seed", 0},
              {"bootstrap_rounds", 1000}}}};
  add_layers();
  for (const char* key : {"cells", "combinations", "orders"}) study_[key] = Json::array();
  study_["tensors"] = {{"columns",
                        {"layer", "sparsity", "format", "weight", "sparsity_only", "format_only",
                         "sparsify_first", "quantize_first", "joint", "excess", "exact_excess",
                         "agrees", "collapsed", "swapped", "premise"}},
                       {"rows", Json::array()}};
  study_["layer_errors"] = {{"columns",
                             {"layer", "cell", "sparsity_only", "format_only", "combined",
                              "interaction", "share", "cosine", "cross"}},
                            {"rows", Json::array()}};
  study_["pictures"] = Json::array();
  study_["sensitivity"] = nullptr;
  add_cell("", "", "", false);
  std::map<std::string, int> alone;
  for (const std::string& pattern : patterns) alone[pattern] = add_cell(pattern, "", "", false);
  for (const bool with : {false, true}) {
    if (with && !activations) continue;
    for (const std::string& format : formats) {
      const int format_cell = add_cell("", format, "", with);
      for (const std::string& pattern : patterns) {
        std::vector<int> made;
        for (const std::string& order : orders) {
          made.push_back(add_cell(pattern, format, order, with));
          add_combination(made.back(), alone[pattern], format_cell);
        }
        for (size_t i = 0; i < made.size(); ++i) {
          for (size_t j = 0; j < i; ++j) add_order(made[i], made[j]);
        }
        for (const int cell : made) add_layer_errors(cell);
        if (with) continue;
        add_errors(pattern, format);
        if (loss_of_format(format) > 0.1) add_picture(pattern, format);
      }
    }
  }
  if (sensitivity) add_sensitivity();
  const auto advise = [this](const char* text,
                             const std::vector<std::pair<std::string, double>>& figures) {
    Json list = Json::array();
    for (const auto& [label, number] : figures) list.push_back(Json::array({label, number}));
    study_["advice"].push_back({{"text", text}, {"figures", list}});
  };
  study_["advice"] = Json::array();
  advise("Sparsify first: at 4 bits it is better than quantize-first in every pattern.",
         {{"2:4+int4, NLL difference", -0.104}, {"50%+int4, NLL difference", -0.073}});
  advise("mxfp8_e4m3 tolerates 2:4 best: it adds nothing to what pruning costs.",
         {{"ratio", 1.012}});
  advise("At the same bytes, int8 without pruning is better than 2:4 with mxfp8_e4m3.",
         {{"bits per weight", 8.25}, {"perplexity", 22.52}});
  study_["times"] = {{"forward", 402.1}, {"compress", 31.8}, {"figures", 22.4},
                     {"head", 60.3},     {"total", 516.6},   {"reused", 0}};
  return study_;
}

}  // namespace scant
