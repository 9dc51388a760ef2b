#include "methods/support_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "methods/joint/joint_solver.h"

namespace scant {
namespace {

using Patterns = std::vector<std::optional<SparsityPattern>>;
using Formats = std::vector<std::optional<NumberFormat>>;

// Nothing first: quantization alone, sparsity alone.
Patterns all_patterns() {
  Patterns patterns = {std::nullopt};
  for (const auto& pattern : SparsityPattern::examples()) patterns.emplace_back(pattern);
  return patterns;
}

Formats all_formats() {
  Formats formats = {std::nullopt};
  AllElements::for_each([&]<typename Family>(std::type_identity<Family>) {
    for (const std::string& spelling : Family::examples()) {
      formats.emplace_back(NumberFormat::parse(spelling, Role::kWeight));
    }
  });
  return formats;
}

// Every method and order for one pattern and format: all where there is something to order,
// otherwise one.
std::vector<CompressionSpec> cell_specs(const std::optional<SparsityPattern>& pattern,
                                        const std::optional<NumberFormat>& format) {
  std::vector<CompressionSpec> specs;
  if (!pattern && !format) return specs;
  for (const Pruner& pruner : all_pruners()) {
    for (const Quantizer& quantizer : all_quantizers()) {
      if (pattern && quantizer.column_order) continue;  // it takes none
      for (const Order order : {Order::kSparsifyFirst, Order::kQuantizeFirst}) {
        specs.push_back({.pattern = pattern,
                         .format = format,
                         .order = order,
                         .pruner = std::string(pruner.name),
                         .quantizer = std::string(quantizer.name)});
        if (!pattern || !format) break;
      }
      if (!format) break;
    }
    if (!pattern) break;
  }
  if (pattern && format) {
    for (const JointSolver& joint : all_joint_solvers()) {
      specs.push_back({.pattern = pattern,
                       .format = format,
                       .order = Order::kJoint,
                       .joint = std::string(joint.name)});
    }
  }
  return specs;
}

// "yes", or per refused order the number of its sentence.
class Cells {
 public:
  std::string text(const std::vector<CompressionSpec>& specs) {
    if (specs.empty()) return "-";
    std::vector<std::string> refused;
    for (const CompressionSpec& spec : specs) {
      const auto sentence = refusal(spec);
      if (!sentence) continue;
      const std::string one =
          fmt::format("{}: no [{}]", order_name(spec.order), number_of(*sentence));
      if (std::ranges::find(refused, one) == refused.end()) refused.push_back(one);
    }
    return refused.empty() ? "yes" : fmt::format("{}", fmt::join(refused, ", "));
  }

  std::string sentences() const {
    std::string text;
    for (size_t i = 0; i < sentences_.size(); ++i) {
      text += fmt::format("{}. {}\n", i + 1, sentences_[i]);
    }
    return text;
  }

 private:
  size_t number_of(const std::string& sentence) {
    auto found = std::ranges::find(sentences_, sentence);
    if (found == sentences_.end()) found = sentences_.insert(found, sentence);
    return static_cast<size_t>(found - sentences_.begin()) + 1;
  }

  std::vector<std::string> sentences_;
};

template <typename List>
std::string method_lines(std::string_view kind, const List& methods) {
  std::string lines;
  for (const auto& method : methods) {
    lines += fmt::format("| {} | `{}` | {} | {} |\n", kind, method.name,
                         method.calibrated ? "calibration text" : "the weight", method.meaning);
  }
  return lines;
}

std::string grid(Cells& cells) {
  const Patterns patterns = all_patterns();
  std::string header = "| format |", rule = "| --- |";
  for (const auto& pattern : patterns) {
    header += pattern ? fmt::format(" `{}` |", pattern->spelling()) : " dense |";
    rule += " --- |";
  }
  std::string text = header + "\n" + rule + "\n";
  for (const auto& format : all_formats()) {
    text += format ? fmt::format("| `{}` |", format->spelling()) : "| as it is |";
    for (const auto& pattern : patterns) {
      text += " " + cells.text(cell_specs(pattern, format)) + " |";
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::vector<CompressionSpec> support_specs() {
  std::vector<CompressionSpec> specs;
  const Patterns patterns = all_patterns();
  for (const auto& format : all_formats()) {
    for (const auto& pattern : patterns) {
      const auto cell = cell_specs(pattern, format);
      specs.insert(specs.end(), cell.begin(), cell.end());
    }
  }
  return specs;
}

std::string support_table() {
  std::string text =
      "# What goes with what\n\n"
      "Generated from the lists in the code; a test runs every \"yes\" on a small matrix and\n"
      "compares this file with the code.\n\n"
      "Patterns stand for their families with any percentage, N:M and block shape, formats for\n"
      "their elements with any granularity and option they allow (`docs/formats/`). A \"yes\" "
      "holds\n"
      "for every pruner with every quantizer in both orders, and for every joint solver. With a\n"
      "pattern alone or a format alone there is nothing to order. `:stoch` goes with `rtn` and\n"
      "`gain_mask` only: the others choose codes themselves. `gptq-desc-act` takes no pattern.\n\n"
      "## Methods\n\n"
      "| kind | name | needs | what it does |\n| --- | --- | --- | --- |\n";
  text += method_lines("prune", all_pruners()) + method_lines("quantize", all_quantizers()) +
          method_lines("joint", all_joint_solvers());
  Cells cells;
  text += "\n## Patterns and formats\n\n" + grid(cells);
  if (!cells.sentences().empty()) text += "\n## Refusals\n\n" + cells.sentences();
  return text;
}

}  // namespace scant
