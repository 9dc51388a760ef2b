#include "report/study_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include "report/table.h"

namespace scant {
namespace {

constexpr size_t kColumns = 100;

/// Perplexities of one digit to many: "9.1234", "12.345", "1234.5", "1.23e+06"
std::string perplexity_text(double value) {
  if (!std::isfinite(value)) return "-";
  if (value >= 1e6) return fmt::format("{:.2e}", value);
  return fmt::format("{:.{}f}", value, value < 100 ? 3 : value < 10000 ? 1 : 0);
}

/// Words in lines of kColumns; the first begins with `first`, the others are indented as far.
std::string wrapped(const std::string& first, const std::string& text) {
  const std::string indent(first.size(), ' ');
  std::string result, line = first;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const bool empty = line.size() <= first.size();
    if (!empty && line.size() + 1 + word.size() > kColumns) {
      result += line + "\n";
      line = indent + word;
    } else {
      line += (empty ? "" : " ") + word;
    }
  }
  return result + line + "\n";
}

/// The cells of one block of the table: a pattern, with or without quantized activations.
struct Block {
  SparsityPattern pattern;
  bool activations = false;
};

class Summary {
 public:
  Summary(const Study& study, const StudyAnalysis& analysis) : study_(study), analysis_(analysis) {}

  std::string tables(bool bold) const {
    std::string text;
    for (const Block& block : blocks()) text += table(block, bold);
    return text;
  }

 private:
  std::vector<Block> blocks() const {
    std::vector<Block> result;
    for (const bool activations : {false, true}) {
      for (const Cell& cell : study_.cells) {
        const CellSpec& spec = cell.spec;
        if (!spec.sparsity || !spec.format || spec.activations != activations) continue;
        const bool there = std::any_of(result.begin(), result.end(), [&](const Block& block) {
          return block.activations == activations && block.pattern == *spec.sparsity;
        });
        if (!there) result.push_back({*spec.sparsity, activations});
      }
    }
    return result;
  }

  std::vector<NumberFormat> formats(const Block& block) const {
    std::vector<NumberFormat> result;
    for (const Cell& cell : study_.cells) {
      const CellSpec& spec = cell.spec;
      if (spec.sparsity != block.pattern || !spec.format) continue;
      if (spec.activations != block.activations) continue;
      if (std::find(result.begin(), result.end(), *spec.format) == result.end()) {
        result.push_back(*spec.format);
      }
    }
    return result;
  }

  std::optional<size_t> find(const CellSpec& spec) const {
    for (size_t i = 0; i < study_.cells.size(); ++i) {
      if (study_.cells[i].spec.name() == spec.name()) return i;
    }
    return std::nullopt;
  }

  /// The cell's perplexity, with a mark if it differs from sparsify-first outside noise.
  std::string figure(const std::optional<size_t>& cell) const {
    if (!cell) return "-";
    if (!study_.cells[*cell].failure.empty()) return "failed";
    std::string mark;
    for (const OrderDifference& difference : analysis_.orders) {
      if (difference.cell != *cell || !difference.better) continue;
      const CellSpec& against = study_.cells[difference.against_cell].spec;
      if (against.order != Order::kSparsifyFirst) continue;
      mark = difference.nll.below(0) ? "-" : "+";
    }
    return mark + perplexity_text(analysis_.cells[*cell]->perplexity.value);
  }

  const Combination* combination(const std::optional<size_t>& cell) const {
    for (const Combination& c : analysis_.combinations) {
      if (cell && c.cell == *cell) return &c;
    }
    return nullptr;
  }

  std::string table(const Block& block, bool bold) const {
    TextTable table({block.pattern.spelling() + (block.activations ? " +act" : ""), ">dense", ">S",
                     ">Q", ">S then Q", ">Q then S", ">joint", ">threshold", "verdict"});
    for (const NumberFormat& format : formats(block)) {
      const auto spec = [&](bool s, bool q, std::optional<Order> order) {
        CellSpec result;
        if (s) result.sparsity = block.pattern;
        if (q) result.format = format;
        result.order = order;
        result.activations = q && block.activations;
        return result;
      };
      std::vector<std::optional<size_t>> both;
      const Combination* judged = nullptr;  // sparsify-first if the study has it
      for (const Order order : kOrders) {
        both.push_back(find(spec(true, true, order)));
        if (!judged) judged = combination(both.back());
      }
      table.add({format.spelling(), figure(find({})), figure(find(spec(true, false, {}))),
                 figure(find(spec(false, true, {}))), figure(both[0]), figure(both[1]),
                 figure(both[2]),
                 judged ? perplexity_text(judged->perplexity.threshold.value) : "-",
                 judged ? std::string(verdict_name(judged->verdict)) : "-"});
    }
    return table.text(bold);
  }

  const Study& study_;
  const StudyAnalysis& analysis_;
};

}  // namespace

std::string study_summary(const Study& study, const StudyAnalysis& analysis,
                          const std::vector<Advice>& advice, const std::string& folder, bool bold) {
  const StudyInput& input = study.input;
  std::string text =
      wrapped("", fmt::format("Perplexity of {} on {}, {} tokens in {} windows; S: sparsity alone, "
                              "Q: format alone.",
                              input.model, input.text, input.tokens, input.windows));
  text += Summary(study, analysis).tables(bold);
  text += "+ and -: worse and better than S then Q outside noise. Verdict: of S then Q.\n";
  size_t failed = 0;
  for (const Cell& cell : study.cells) failed += !cell.failure.empty();
  for (const Cell& cell : study.cells) {
    if (cell.failure.empty()) continue;
    text += wrapped("failed: ", cell.spec.name() + ": " + cell.failure +
                                    (failed > 1 ? fmt::format(" (and {} more)", failed - 1) : ""));
    break;
  }
  for (const Advice& one : advice) text += wrapped("* ", one.text);
  if (!folder.empty()) {
    text += fmt::format("Written to {}: report.html, interplay.json and tables as .csv\n", folder);
  }
  return text;
}

}  // namespace scant
