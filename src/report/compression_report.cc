#include "report/compression_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "report/table.h"

namespace scant {
namespace {

/// Layers that share kind, shape and treatment.
struct Group {
  int64_t layers = 0;
  int64_t weights = 0;
  int64_t bytes = 0;
  double zeros = 0;
  double squared_error = 0;         ///< sum of squared relative errors
  double squared_output_error = 0;  ///< the same of the layers' outputs
};

struct GroupKey {
  std::string kind, shape, pattern, format, order, methods, activation;
  auto operator<=>(const GroupKey&) const = default;  // NOLINT(modernize-use-nullptr)
};

GroupKey key_of(const PlannedLayer& layer) {
  const CompressionSpec& spec = layer.plan.weights;
  GroupKey key;
  key.kind = layer.info.kind;
  key.shape = fmt::format("{}x{}", layer.info.outputs, layer.info.inputs);
  key.pattern = spec.pattern ? spec.pattern->spelling() : "-";
  key.format = spec.format ? spec.format->spelling() : "-";
  key.order = spec.pattern && spec.format ? std::string(order_name(spec.order)) : "-";
  key.methods = layer.plan.changes_weights() ? method_names(spec) : "-";
  key.activation = "-";
  if (layer.plan.activation) {
    key.activation = layer.plan.activation->spelling();
    if (layer.plan.activation_method != ActivationMethod{}) {
      key.activation += " " + layer.plan.activation_method.spelling();
    }
  }
  return key;
}

/// Groups in the order in which the model meets them.
class Groups {
 public:
  Group& operator[](const GroupKey& key) {
    const auto [entry, fresh] = index_.try_emplace(key, groups_.size());
    if (fresh) groups_.push_back({key, {}});
    return groups_[entry->second].second;
  }
  const std::vector<std::pair<GroupKey, Group>>& all() const { return groups_; }

 private:
  std::map<GroupKey, size_t> index_;
  std::vector<std::pair<GroupKey, Group>> groups_;
};

void count(Group& group, const PlannedLayer& layer) {
  ++group.layers;
  group.weights += layer.info.outputs * layer.info.inputs;
  group.bytes += layer.plan.changes_weights() ? layer.size.total() : 0;
}

/// What a table shows besides what is planned.
struct Columns {
  bool measured = false;    ///< zeros and errors
  bool calibrated = false;  ///< methods and, if measured, errors of outputs
};

std::string table_text(const Groups& groups, const Columns& columns, bool bold) {
  std::vector<std::string> headers = {"layer kind", ">layers", ">shape",      "sparsity",
                                      "weights",    "order",   "activations", ">bits/weight"};
  if (columns.calibrated) headers.insert(headers.begin() + 6, "methods");
  if (columns.measured) headers.insert(headers.end(), {">zeros", ">relative error"});
  if (columns.measured && columns.calibrated) headers.emplace_back(">output error");
  TextTable table(headers);
  for (const auto& [key, group] : groups.all()) {
    std::vector<std::string> cells = {
        key.kind,
        std::to_string(group.layers),
        key.shape,
        key.pattern,
        key.format,
        key.order,
        key.activation,
        group.bytes == 0 ? "-"
                         : fmt::format("{:.3f}", 8.0 * static_cast<double>(group.bytes) /
                                                     static_cast<double>(group.weights))};
    const auto layers = static_cast<double>(group.layers);
    if (columns.calibrated) cells.insert(cells.begin() + 6, key.methods);
    if (columns.measured) {
      cells.push_back(fmt::format("{:.1f}%", 100 * group.zeros / layers));
      cells.push_back(fmt::format("{:.5f}", std::sqrt(group.squared_error / layers)));
    }
    if (columns.measured && columns.calibrated) {
      cells.push_back(fmt::format("{:.5f}", std::sqrt(group.squared_output_error / layers)));
    }
    table.add(std::move(cells));
  }
  return table.text(bold);
}

/// Root mean squares over the blocks.
std::string refits_text(const std::vector<RefitError>& refits) {
  if (refits.empty()) return "";
  double before = 0, after = 0;
  for (const RefitError& refit : refits) {
    before += refit.before * refit.before;
    after += std::min(refit.before, refit.after) * std::min(refit.before, refit.after);
  }
  const auto blocks = static_cast<double>(refits.size());
  return fmt::format(
      "Refit of blocks:   error of their outputs {:.5f} -> {:.5f} on held-out calibration "
      "windows\n",
      std::sqrt(before / blocks), std::sqrt(after / blocks));
}

std::string totals_text(const CompressionPlan& plan) {
  const auto total = static_cast<double>(plan.compressed_bytes + plan.other_bytes);
  const auto source = static_cast<double>(plan.source_bytes + plan.source_other_bytes);
  std::string text;
  if (plan.weights != 0) {
    text +=
        fmt::format("Compressed layers: {} weights, {} -> {} packed, {:.3f} bits per weight\n",
                    count_text(static_cast<double>(plan.weights)),
                    bytes_text(static_cast<double>(plan.source_bytes)),
                    bytes_text(static_cast<double>(plan.compressed_bytes)), plan.bits_per_weight());
  }
  text +=
      fmt::format("Whole model:       {} -> {} packed ({} of it not compressed), {:.2f}x smaller\n",
                  bytes_text(source), bytes_text(total),
                  bytes_text(static_cast<double>(plan.other_bytes)), source / total);
  if (plan.other_bytes > plan.source_other_bytes) {
    text += fmt::format(
        "The transforms make what is not compressed {} instead of {}: float32 values, and a head "
        "apart from the embeddings\n",
        bytes_text(static_cast<double>(plan.other_bytes)),
        bytes_text(static_cast<double>(plan.source_other_bytes)));
  }
  return text;
}

}  // namespace

std::string plan_text(const CompressionPlan& plan, bool bold) {
  Groups groups;
  bool calibrated = false;
  for (const PlannedLayer& layer : plan.layers) {
    count(groups[key_of(layer)], layer);
    calibrated |= layer.plan.changes_weights() && needs_calibration(layer.plan.weights);
  }
  return table_text(groups, {.calibrated = calibrated}, bold) + totals_text(plan);
}

std::string compression_text(const CompressionResult& result, bool bold) {
  Groups groups;
  bool calibrated = false;
  for (const LayerResult& layer : result.layers) {
    Group& group = groups[key_of(layer.planned)];
    count(group, layer.planned);
    group.zeros += layer.zeros;
    group.squared_error += layer.error.relative * layer.error.relative;
    const double of_output = layer.output_error.value_or(0.0);
    group.squared_output_error += of_output * of_output;
    calibrated |= layer.output_error.has_value();
  }
  if (result.layers.empty()) return plan_text(result.plan, bold);
  return table_text(groups, {.measured = true, .calibrated = calibrated}, bold) +
         refits_text(result.refits) + totals_text(result.plan);
}

std::string times_text(const CompressionResult& result) {
  const CalibrationTimes& times = result.calibration;
  if (times.total() <= 0) return "";
  const auto share = [&](double seconds) { return 100 * seconds / result.seconds; };
  return fmt::format(
      "Time: blocks forward {:.0f}%, Gram matrices {:.0f}%, solving {:.0f}%, refit {:.0f}%, "
      "reading "
      "and writing {:.0f}%\n",
      share(times.forward), share(times.gram), share(times.solve), share(times.refit),
      share(result.seconds - times.total()));
}

}  // namespace scant
