#pragma once

// Made-up studies for tests of what is computed from one and of what reports say of it.

#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compress/interplay/study.h"
#include "core/random.h"

namespace scant {

inline CellSpec cell_spec(const std::string& sparsity, const std::string& format,
                          std::optional<Order> order = std::nullopt, bool activations = false) {
  CellSpec spec;
  if (!sparsity.empty()) spec.sparsity = SparsityPattern::parse(sparsity);
  if (!format.empty()) spec.format = NumberFormat::parse(format, Role::kWeight);
  spec.order = order;
  spec.activations = activations;
  return spec;
}

/// A metric of windows of 8 predictions whose means are given.
inline Metric window_metric(const std::string& name, const std::vector<double>& means) {
  Metric metric;
  metric.name = name;
  double sum = 0;
  for (const double mean : means) {
    metric.sums.push_back(8 * mean);
    metric.counts.push_back(8);
    sum += mean;
  }
  metric.value = sum / static_cast<double>(means.size());
  return metric;
}

/// A cell whose windows have these NLLs.
inline Cell measured_cell(CellSpec spec, const std::vector<double>& nll) {
  Cell cell;
  cell.spec = std::move(spec);
  cell.nll = window_metric("nll", nll);
  cell.kl = window_metric("kl", std::vector<double>(nll.size(), 0.125));
  const double bits = cell.spec.format ? cell.spec.format->code_bits() : 32;
  cell.bits_per_weight = cell.spec.sparsity ? bits / 2 + 1 : bits;
  cell.bytes = static_cast<int64_t>(cell.bits_per_weight * 1000);
  cell.kl_p99 = 0.5;
  cell.top1_agreement = 0.75;
  cell.growth = {0, 0.125, 0.25, 0.25};
  return cell;
}

/// `windows` values around `mean`, alike for the same stream.
inline std::vector<double> noisy_windows(int64_t windows, double mean, double deviation,
                                         uint64_t stream) {
  const CounterRandom random(11, stream);
  std::vector<double> values;
  for (int64_t i = 0; i < windows; ++i) {
    values.push_back(mean + deviation * random.normal(static_cast<uint64_t>(i)));
  }
  return values;
}

inline std::vector<double> shifted(std::vector<double> values, double by) {
  for (double& value : values) value += by;
  return values;
}

/// Two blocks of two layers; no cells yet.
inline Study empty_study(int64_t blocks = 2) {
  Study study;
  study.input.model = "small";
  study.input.architecture = "LlamaForCausalLM";
  study.input.parameters = 123456;
  study.input.linear_weights = 1000;
  study.input.text = "eval.txt";
  study.input.calibration = "calib.txt";
  study.input.tokens = 4096;
  study.input.windows = 16;
  study.input.window = 256;
  study.input.seed = 7;
  study.stages = {"embed"};
  for (int64_t block = 0; block < blocks; ++block) {
    study.stages.push_back("block " + std::to_string(block));
    for (const std::string kind : {"q_proj", "down_proj"}) {
      LinearInfo info;
      info.name = "model.layers." + std::to_string(block) + "." + kind;
      info.tensor = info.name + ".weight";
      info.kind = kind;
      info.block = block;
      info.outputs = 8;
      info.inputs = 32;
      study.layers.push_back({info, 1024});
    }
  }
  study.stages.push_back("final norm");
  return study;
}

/// How much NLL a cell loses against the dense one, by its treatment.
using Loss = std::function<double(const CellSpec&)>;

/// Dense, every pattern alone, and for every treatment of activations every format alone and every
/// combination in three orders; every window of a cell is that of the dense one plus the loss plus
/// a little noise of its own.
inline Study made_up_study(const std::vector<std::string>& patterns,
                           const std::vector<std::string>& formats, const Loss& loss,
                           double noise = 0.001, bool activations = false, int64_t windows = 16,
                           int64_t blocks = 2) {
  Study study = empty_study(blocks);
  std::vector<CellSpec> specs = {cell_spec("", "")};
  for (const std::string& pattern : patterns) specs.push_back(cell_spec(pattern, ""));
  for (const bool a : {false, true}) {
    if (a && !activations) continue;
    for (const std::string& f : formats) specs.push_back(cell_spec("", f, std::nullopt, a));
    for (const std::string& s : patterns) {
      for (const std::string& f : formats) {
        for (const Order order : kOrders) specs.push_back(cell_spec(s, f, order, a));
      }
    }
  }
  const std::vector<double> dense = noisy_windows(windows, 3, 0.2, 0);
  for (size_t i = 0; i < specs.size(); ++i) {
    std::vector<double> nll = dense;
    const std::vector<double> own = noisy_windows(windows, 0, noise, i);
    for (size_t w = 0; w < nll.size() && i != 0; ++w) nll[w] += loss(specs[i]) + own[w];
    study.cells.push_back(measured_cell(specs[i], nll));
    study.cells.back().growth.resize(study.stages.size(), 0.25);
  }
  study.input.windows = windows;
  return study;
}

}  // namespace scant
