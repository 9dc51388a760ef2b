#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <set>

#include "compress/interplay/advice_parts.h"

namespace scant {
namespace {

/// "4 bits", "6 and 8 bits", "4, 6 and 8 bits"
std::string bits_text(const std::set<int>& bits) {
  std::string text;
  size_t left = bits.size();
  for (const int b : bits) {
    --left;
    text += std::to_string(b) + (left > 1 ? ", " : left == 1 ? " and " : "");
  }
  return text + (bits == std::set<int>{1} ? " bit" : " bits");
}

/// Mean paired NLL difference of two orders over the combinations that `chosen` accepts.
struct Pooled {
  Estimate difference;
  size_t combinations = 0;
  std::set<int> bits;
};
Pooled pooled_orders(const StudyView& view, Order order, Order against,
                     const std::function<bool(size_t)>& chosen) {
  Pooled result;
  std::vector<size_t> cells, others;
  for (const OrderDifference& pair : view.analysis.orders) {
    if (view.spec(pair.cell).order != order || view.spec(pair.against_cell).order != against)
      continue;
    if (!chosen(pair.cell)) continue;
    cells.push_back(pair.cell);
    others.push_back(pair.against_cell);
    result.bits.insert(view.bits(pair.cell));
  }
  result.combinations = cells.size();
  if (!cells.empty()) result.difference = mean_difference(view.analysis, cells, others);
  return result;
}

Estimate negated(const Estimate& e) { return {-e.value, {-e.interval.high, -e.interval.low}}; }

/// A cell with a pattern against a format alone, under the same treatment of activations.
struct Duel {
  size_t sparse = 0, format = 0;
  Estimate loss;  ///< NLL, sparse minus format alone
};

/// The opponents of one sparse cell: the best format of at most its bytes, and the next larger one.
struct Opponents {
  std::optional<size_t> smaller, larger;
};

Opponents opponents(const StudyView& view, size_t sparse) {
  const std::vector<Cell>& cells = view.study.cells;
  Opponents result;
  for (size_t j = 0; j < cells.size(); ++j) {
    const CellSpec& spec = view.spec(j);
    if (!view.analysis.cells[j] || spec.sparsity || !spec.format) continue;
    if (spec.activations != view.spec(sparse).activations) continue;
    const auto better = [&](const std::optional<size_t>& other) {
      return !other || cells[j].nll.value < cells[*other].nll.value;
    };
    if (cells[j].bytes <= cells[sparse].bytes) {
      if (better(result.smaller)) result.smaller = j;
    } else if (!result.larger || cells[j].bytes < cells[*result.larger].bytes ||
               (cells[j].bytes == cells[*result.larger].bytes && better(result.larger))) {
      result.larger = j;
    }
  }
  return result;
}

/// Which side wins outside noise, how often, and the fairest example: the closest in size.
struct Tally {
  size_t compared = 0;
  size_t format_wins = 0, sparse_wins = 0;
  std::optional<Duel> format_example, sparse_example;
};

Tally fight(const StudyView& view) {
  const std::vector<Cell>& cells = view.study.cells;
  const auto gap = [&](const Duel& duel) {
    return std::abs(std::log(static_cast<double>(std::max<int64_t>(cells[duel.sparse].bytes, 1)) /
                             static_cast<double>(std::max<int64_t>(cells[duel.format].bytes, 1))));
  };
  const auto keep = [&](std::optional<Duel>& best, const Duel& duel) {
    if (!best || gap(duel) < gap(*best)) best = duel;
  };
  Tally tally;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (!view.analysis.cells[i] || !view.spec(i).sparsity) continue;
    const Opponents other = opponents(view, i);
    tally.compared += other.smaller || other.larger;
    if (other.smaller) {
      const Duel duel{i, *other.smaller, view.difference(i, *other.smaller)};
      tally.format_wins += duel.loss.above(0);
      if (duel.loss.above(0)) keep(tally.format_example, duel);
    }
    if (other.larger) {
      const Duel duel{i, *other.larger, view.difference(i, *other.larger)};
      tally.sparse_wins += duel.loss.below(0);
      if (duel.loss.below(0)) keep(tally.sparse_example, duel);
    }
  }
  return tally;
}

/// "2:4", where the study has N:M combinations (what hardware runs); its first pattern otherwise.
std::string usual_pattern(const StudyView& view) {
  std::string pattern;
  for (const Combination& c : view.analysis.combinations) {
    const SparsityPattern& p = *view.spec(c.cell).sparsity;
    if (p.family() == "n_of_m") return p.spelling();
    if (pattern.empty()) pattern = p.spelling();
  }
  return pattern;
}

}  // namespace

Advice order_advice(const StudyView& view) {
  Advice advice;
  for (const bool few : {true, false}) {
    const Pooled pool = pooled_orders(view, Order::kQuantizeFirst, Order::kSparsifyFirst,
                                      [&](size_t cell) { return (view.bits(cell) <= 4) == few; });
    if (pool.combinations == 0) continue;
    const std::string where = bits_text(pool.bits);
    const Estimate& loss = pool.difference;
    if (!advice.text.empty()) advice.text += " ";
    if (loss.outside_noise()) {
      advice.text += fmt::format("At {} {} first: {} first costs {} NLL more on average of {}.",
                                 where, loss.above(0) ? "sparsify" : "quantize",
                                 loss.above(0) ? "quantizing" : "sparsifying",
                                 estimate_text(loss.above(0) ? loss : negated(loss)),
                                 counted(pool.combinations, "combination"));
    } else {
      advice.text += fmt::format(
          "At {} no difference between sparsify-first and quantize-first outside noise ({}).",
          where, estimate_text(loss));
    }
    add_figures(advice, "NLL, quantize-first minus sparsify-first at " + where, loss);
  }
  return advice;
}

Advice joint_advice(const StudyView& view) {
  const Pooled all =
      pooled_orders(view, Order::kJoint, Order::kSparsifyFirst, [](size_t) { return true; });
  if (all.combinations == 0) return {};
  Advice advice;
  const Estimate& gain = all.difference;
  add_figures(advice, "NLL, joint minus sparsify-first", gain);
  if (!gain.outside_noise()) {
    advice.text = fmt::format(
        "The joint order makes no difference to sparsify-first outside noise: {} NLL on average.",
        estimate_text(gain));
  } else {
    advice.text = fmt::format("The joint order {} against sparsify-first: {} NLL on average of {}",
                              gain.below(0) ? "pays" : "does not pay", estimate_text(gain),
                              counted(all.combinations, "combination"));
    const OrderDifference* best = nullptr;
    for (const OrderDifference& pair : view.analysis.orders) {
      if (view.spec(pair.cell).order != Order::kJoint ||
          view.spec(pair.against_cell).order != Order::kSparsifyFirst) {
        continue;
      }
      if (pair.nll.below(0) && (!best || pair.nll.value < best->nll.value)) best = &pair;
    }
    if (best) {
      advice.text +=
          fmt::format("; most for {} ({})", view.name(best->cell), number(best->nll.value));
      advice.figures.emplace_back(view.name(best->cell), best->nll.value);
    }
    advice.text += ".";
  }
  return advice;
}

Advice tolerated_advice(const StudyView& view) {
  const std::string pattern = usual_pattern(view);
  struct Candidate {
    const Combination* combination;
    Estimate loss;
  };
  std::optional<Candidate> best, nearest;
  for (const Combination& c : view.analysis.combinations) {
    if (view.spec(c.cell).sparsity->spelling() != pattern) continue;
    const Candidate candidate{&c, view.difference(c.cell, c.sparsity_cell)};
    const auto cost = [&](const Candidate& x) {
      return view.study.cells[x.combination->cell].bits_per_weight;
    };
    if (!nearest || candidate.loss.value < nearest->loss.value) nearest = candidate;
    if (!candidate.loss.below(kToleratedLoss)) continue;
    const bool smaller = !best || cost(candidate) < cost(*best);
    const bool same = best && cost(candidate) == cost(*best);
    if (smaller || (same && candidate.loss.value < best->loss.value)) best = candidate;
  }
  if (!nearest || std::isnan(nearest->loss.interval.low)) return {};
  const Candidate& shown = best ? *best : *nearest;
  const size_t cell = shown.combination->cell;
  Advice advice;
  if (best) {
    advice.text = fmt::format(
        "{} tolerates {} ({:.3g} bits per weight): {} adds {} NLL to {} alone, less than 1%.",
        pattern, view.spec(cell).format->spelling(), view.study.cells[cell].bits_per_weight,
        view.name(cell), estimate_text(shown.loss), pattern);
  } else {
    advice.text = fmt::format(
        "No format stays surely within 1% of perplexity on top of {}: the nearest, {}, adds {} "
        "NLL.",
        pattern, view.name(cell), estimate_text(shown.loss));
  }
  add_figures(advice, "NLL, " + view.name(cell) + " minus " + pattern, shown.loss);
  advice.figures.emplace_back("bits per weight", view.study.cells[cell].bits_per_weight);
  return advice;
}

Advice fewer_bits_advice(const StudyView& view) {
  const Tally tally = fight(view);
  if (tally.compared == 0) return {};
  Advice advice;
  const auto sized = [&](size_t cell) {
    return fmt::format("{} ({:.3g} bits per weight)", view.name(cell),
                       view.study.cells[cell].bits_per_weight);
  };
  const auto label = [&](const Duel& duel) {
    return "NLL, " + view.name(duel.sparse) + " minus " + view.name(duel.format);
  };
  if (tally.format_example) {
    const Duel& duel = *tally.format_example;
    advice.text += fmt::format(
        "Fewer bits beat sparsity at the same bytes or fewer for {} of {} sparse cells: {} is "
        "better than {} by {} NLL.",
        tally.format_wins, tally.compared, sized(duel.format), sized(duel.sparse),
        estimate_text(duel.loss));
    add_figures(advice, label(duel), duel.loss);
  }
  if (tally.sparse_example) {
    const Duel& duel = *tally.sparse_example;
    advice.text += fmt::format("{}Sparsity beats the next larger format for {}: {} against {}, {}.",
                               advice.text.empty() ? "" : " ", tally.sparse_wins,
                               sized(duel.sparse), sized(duel.format), estimate_text(duel.loss));
    add_figures(advice, label(duel), duel.loss);
  }
  if (advice.text.empty()) {
    advice.text = fmt::format(
        "At the same bytes, no difference between sparsity and fewer bits outside noise in any of "
        "{}.",
        counted(tally.compared, "sparse cell"));
  }
  advice.figures.emplace_back("sparse cells compared", tally.compared);
  advice.figures.emplace_back("fewer bits win", tally.format_wins);
  advice.figures.emplace_back("sparsity wins", tally.sparse_wins);
  return advice;
}

}  // namespace scant
