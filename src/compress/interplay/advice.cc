#include "compress/interplay/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "compress/interplay/advice_parts.h"

namespace scant {

std::string number(double value) { return fmt::format("{:+.3g}", value); }

std::string estimate_text(const Estimate& estimate) {
  return fmt::format("{} [{}, {}]", number(estimate.value), number(estimate.interval.low),
                     number(estimate.interval.high));
}

void add_figures(Advice& advice, const std::string& label, const Estimate& estimate) {
  advice.figures.emplace_back(label, estimate.value);
  advice.figures.emplace_back(label + ", low", estimate.interval.low);
  advice.figures.emplace_back(label + ", high", estimate.interval.high);
}

std::string counted(size_t count, const std::string& what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

Estimate StudyView::difference(size_t cell, size_t against) const {
  return mean_difference(analysis, {cell}, {against});
}

Advice dominant_advice(const StudyView& view) {
  // One order is enough: the separate losses are the same in all.
  std::map<std::pair<size_t, size_t>, const Combination*> pairs;
  for (const Combination& c : view.analysis.combinations) {
    pairs.try_emplace({c.sparsity_cell, c.format_cell}, &c);
  }
  if (pairs.empty()) return {};
  std::map<Dominant, size_t> counts;
  std::set<std::string> formats;
  for (const auto& [key, c] : pairs) {
    ++counts[c->dominant];
    if (c->dominant == Dominant::kFormat) formats.insert(view.spec(c->cell).format->spelling());
  }
  std::string which;
  for (const std::string& format : formats) which += (which.empty() ? "" : ", ") + format;
  Advice advice;
  const size_t s = counts[Dominant::kSparsity];
  const size_t q = counts[Dominant::kFormat];
  if (s + q == 0) {
    advice.text = fmt::format("Neither loss dominates: no difference outside noise in any of {}.",
                              counted(pairs.size(), "pair"));
  } else {
    advice.text = fmt::format(
        "Alone, the sparsity costs more than the format in {} of {}, the format more in {}{}.", s,
        counted(pairs.size(), "pair"), q, q != 0 ? " (" + which + ")" : "");
  }
  advice.figures = {{"pairs", static_cast<double>(pairs.size())},
                    {"sparsity dominates", static_cast<double>(s)},
                    {"format dominates", static_cast<double>(q)}};
  return advice;
}

Advice compounding_advice(const StudyView& view) {
  if (view.analysis.combinations.empty()) return {};
  std::map<Verdict, size_t> counts;
  const Combination* worst = nullptr;
  for (const Combination& c : view.analysis.combinations) {
    ++counts[c.verdict];
    if (c.verdict != Verdict::kCompounding || !c.nll.ratio) continue;
    if (!worst || c.nll.ratio->value > worst->nll.ratio->value) worst = &c;
  }
  Advice advice;
  const size_t all = view.analysis.combinations.size();
  const size_t compounding = counts[Verdict::kCompounding];
  const size_t orthogonal = counts[Verdict::kOrthogonal];
  advice.text = compounding == 0 ? fmt::format("None of {} compounds", counted(all, "combination"))
                                 : fmt::format("The losses compound in {} of {}", compounding,
                                               counted(all, "combination"));
  advice.text += fmt::format("; {} orthogonal, {} depend on the scale or are within noise.",
                             orthogonal, counts[Verdict::kDependsOnScale]);
  advice.figures = {{"combinations", static_cast<double>(all)},
                    {"compounding", static_cast<double>(compounding)},
                    {"orthogonal", static_cast<double>(orthogonal)}};
  if (worst) {
    advice.text += fmt::format(" Most: {}, {:.3g} times the sum of the separate NLL losses.",
                               view.name(worst->cell), worst->nll.ratio->value);
    add_figures(advice, "compounding ratio in NLL of " + view.name(worst->cell), *worst->nll.ratio);
  }
  return advice;
}

Advice exempt_advice(const StudyView& view) {
  if (!view.study.sensitivity) return {};
  const Sensitivity& ranking = *view.study.sensitivity;
  double bits = 0;
  for (const Cell& cell : view.study.cells) {
    if (cell.spec.name() == ranking.cell.name()) bits = cell.bits_per_weight;
  }
  struct Choice {
    size_t index;
    double bytes;  ///< added by the exemption
  };
  std::optional<Choice> best;
  size_t outside = 0;
  for (size_t i = 0; i < ranking.layers.size(); ++i) {
    if (!view.analysis.sensitivity[i].exempt.above(0)) continue;
    ++outside;
    const StudyLayer& layer = view.study.layers[static_cast<size_t>(ranking.layers[i].layer)];
    const double weights = static_cast<double>(layer.info.outputs * layer.info.inputs);
    const double bytes = std::max(static_cast<double>(layer.dense_bytes) - weights * bits / 8, 1.0);
    const auto rate = [&](const Choice& c) {
      return view.analysis.sensitivity[c.index].exempt.value / c.bytes;
    };
    if (!best || rate({i, bytes}) > rate(*best)) best = {i, bytes};
  }
  Advice advice;
  const auto windows = static_cast<int64_t>(ranking.dense.sums.size());
  if (windows < kFewestWindows) {
    advice.text = fmt::format(
        "The ranking of layers for {} read {}: too few for intervals, which need at least {}.",
        ranking.cell.name(), counted(static_cast<size_t>(windows), "window"), kFewestWindows);
    advice.figures.emplace_back("windows", windows);
  } else if (!best) {
    advice.text = fmt::format("Exempting a single layer from {} gains nothing outside noise.",
                              ranking.cell.name());
    advice.figures.emplace_back("layers ranked", ranking.layers.size());
  } else {
    const LayerGain& gain = view.analysis.sensitivity[best->index];
    const auto layer = static_cast<size_t>(ranking.layers[best->index].layer);
    const std::string& name = view.study.layers[layer].info.name;
    advice.text = fmt::format(
        "Cheapest to exempt from {}: {}, which takes {} NLL off for {:.3g} KiB more; {} of {} "
        "layers gain outside noise.",
        ranking.cell.name(), name, estimate_text(gain.exempt), best->bytes / 1024, outside,
        ranking.layers.size());
    add_figures(advice, "NLL taken off by exempting " + name, gain.exempt);
    advice.figures.emplace_back("bytes added", best->bytes);
  }
  return advice;
}

Advice layers_advice(const StudyView& view) {
  struct Sum {
    double share = 0;
    double interaction = 0;
    double count = 0;
  };
  std::map<std::string, Sum> kinds;
  const LayerFigures* worst = nullptr;
  for (const LayerFigures& figures : view.study.layer_figures) {
    if (!std::isfinite(figures.share) || !std::isfinite(figures.interaction)) continue;
    Sum& sum = kinds[view.study.layers[static_cast<size_t>(figures.layer)].info.kind];
    sum.share += figures.share;
    sum.interaction += figures.interaction;
    sum.count += 1;
    if (!worst || figures.share > worst->share) worst = &figures;
  }
  if (!worst) return {};
  const auto most = std::max_element(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) {
    return a.second.share / a.second.count < b.second.share / b.second.count;
  });
  const double share = most->second.share / most->second.count;
  const std::string& layer = view.study.layers[static_cast<size_t>(worst->layer)].info.name;
  Advice advice;
  if (worst->share <= 0) {
    advice.text = fmt::format(
        "In no layer do the two errors reinforce each other: the largest share is {} ({}).",
        number(worst->share), layer);
  } else {
    advice.text = fmt::format(
        "The errors of {} {} (on average {}% of the separate squared errors); most in {} with "
        "{} ({}%).",
        most->first, share > 0 ? "reinforce each other most" : "cancel least", number(100 * share),
        layer, cell_name(worst->sparsity, worst->format, worst->order, worst->activations),
        number(100 * worst->share));
  }
  advice.figures = {
      {"share, mean of " + most->first, share},
      {"interaction, mean of " + most->first, most->second.interaction / most->second.count},
      {"share, " + layer, worst->share}};
  return advice;
}

Advice growth_advice(const StudyView& view) {
  std::vector<double> mean(view.study.stages.size(), 0);
  double cells = 0;
  for (const Combination& c : view.analysis.combinations) {
    const std::vector<double>& growth = view.study.cells[c.cell].growth;
    if (growth.size() != mean.size()) continue;
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += growth[i];
    cells += 1;
  }
  if (cells == 0) return {};
  for (double& value : mean) value /= cells;
  const auto is_block = [&](size_t i) { return view.study.stages[i].rfind("block", 0) == 0; };
  std::optional<size_t> fastest;
  size_t last = 0;
  for (size_t i = 1; i < mean.size(); ++i) {
    if (!is_block(i) || !std::isfinite(mean[i] - mean[i - 1])) continue;
    last = i;
    if (!fastest || mean[i] - mean[i - 1] > mean[*fastest] - mean[*fastest - 1]) fastest = i;
  }
  if (!fastest) return {};
  const double before = mean[*fastest - 1];
  const double after = mean[*fastest];
  Advice advice;
  advice.text =
      after > before
          ? fmt::format(
                "The error of the hidden state grows fastest in {}: from {:.3g} "
                "to {:.3g} on average, {:.3g} after {}.",
                view.study.stages[*fastest], before, after, mean[last], view.study.stages[last])
          : fmt::format(
                "The error of the hidden state grows in no block; it is {:.3g} "
                "after {}.",
                mean[last], view.study.stages[last]);
  advice.figures = {{"relative error before " + view.study.stages[*fastest], before},
                    {"relative error after " + view.study.stages[*fastest], after},
                    {"relative error after " + view.study.stages[last], mean[last]}};
  return advice;
}

std::vector<Advice> advise(const Study& study, const StudyAnalysis& analysis) {
  const StudyView view{study, analysis};
  std::vector<Advice> result;
  if (analysis.windows == 0) return result;  // nothing was measured
  const auto add = [&](Advice advice) {
    if (!advice.text.empty() && result.size() < kMostAdvice) result.push_back(std::move(advice));
  };
  if (analysis.windows < kFewestWindows) {
    add({fmt::format("{} are too few to say anything of the cells: intervals need at least {}.",
                     counted(static_cast<size_t>(analysis.windows), "window"), kFewestWindows),
         {{"windows", static_cast<double>(analysis.windows)}}});
  } else {
    for (const auto part : {order_advice, joint_advice, tolerated_advice, fewer_bits_advice,
                            dominant_advice, compounding_advice, exempt_advice}) {
      add(part(view));
    }
  }
  add(layers_advice(view));
  add(growth_advice(view));
  return result;
}

}  // namespace scant
