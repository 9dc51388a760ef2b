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

struct Methods {
  std::string pruner, quantizer, joint;
};

std::vector<Methods> all_methods() {
  std::vector<Methods> methods;
  for (const Pruner& pruner : all_pruners()) {
    for (const Quantizer& quantizer : all_quantizers()) {
      for (const JointSolver& joint : all_joint_solvers()) {
        methods.push_back(
            {std::string(pruner.name), std::string(quantizer.name), std::string(joint.name)});
      }
    }
  }
  return methods;
}

// The orders of one cell: all where there is something to order, otherwise one.
std::vector<CompressionSpec> cell_specs(const Methods& methods,
                                        const std::optional<SparsityPattern>& pattern,
                                        const std::optional<NumberFormat>& format) {
  std::vector<CompressionSpec> specs;
  if (!pattern && !format) return specs;
  for (const Order order : kOrders) {
    specs.push_back({pattern, format, order, methods.pruner, methods.quantizer, methods.joint});
    if (!pattern || !format) break;
  }
  return specs;
}

// "yes", or per refused order the number of its sentence.
class Cells {
 public:
  std::string text(const std::vector<CompressionSpec>& specs) {
    if (specs.empty()) return "-";
    std::string refused;
    for (const CompressionSpec& spec : specs) {
      const auto sentence = refusal(spec);
      if (!sentence) continue;
      refused += fmt::format("{}{}: no [{}]", refused.empty() ? "" : ", ", order_name(spec.order),
                             number_of(*sentence));
    }
    return refused.empty() ? "yes" : refused;
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
    lines += fmt::format("| {} | `{}` | {} |\n", kind, method.name, method.meaning);
  }
  return lines;
}

std::string grid(const Methods& methods, Cells& cells) {
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
      text += " " + cells.text(cell_specs(methods, pattern, format)) + " |";
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::vector<CompressionSpec> support_specs() {
  std::vector<CompressionSpec> specs;
  const Patterns patterns = all_patterns();
  for (const Methods& methods : all_methods()) {
    for (const auto& format : all_formats()) {
      for (const auto& pattern : patterns) {
        const auto cell = cell_specs(methods, pattern, format);
        specs.insert(specs.end(), cell.begin(), cell.end());
      }
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
      "for all three orders: sparsify-first, quantize-first and joint. With a pattern alone or a\n"
      "format alone there is nothing to order.\n\n"
      "## Methods\n\n"
      "| kind | name | what it does |\n| --- | --- | --- |\n";
  text += method_lines("prune", all_pruners()) + method_lines("quantize", all_quantizers()) +
          method_lines("joint", all_joint_solvers());
  Cells cells;
  for (const Methods& methods : all_methods()) {
    text += fmt::format("\n## `{}`, `{}`; joint: `{}`\n\n", methods.pruner, methods.quantizer,
                        methods.joint);
    text += grid(methods, cells);
  }
  if (!cells.sentences().empty()) text += "\n## Refusals\n\n" + cells.sentences();
  return text;
}

}  // namespace scant
