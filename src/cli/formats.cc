#include <memory>

#include "cli/commands.h"
#include "formats/number_format.h"
#include "formats/pattern.h"
#include "methods/support_table.h"
#include "report/table.h"

namespace scant {
namespace {

std::string lists(bool bold) {
  TextTable numbers({"number format", ">code bits", "canonical spelling"});
  for (const std::string& example : number_format_examples(Role::kWeight)) {
    const NumberFormat format = NumberFormat::parse(example, Role::kWeight);
    numbers.add({example, std::to_string(format.code_bits()), format.spelling()});
  }
  TextTable patterns({"sparsity pattern", "family"});
  for (const SparsityPattern& pattern : SparsityPattern::examples()) {
    patterns.add({pattern.spelling(), std::string(pattern.family())});
  }
  return "Weights (examples of every family; ELEMENT[:GRANULARITY][:OPTION...]):\n" +
         numbers.text(bold) + "\n" + patterns.text(bold) +
         "\nGranularity :tensor, :channel, :token, :gN, :block=N; options :mse, :stoch, :asym, "
         ":narrow,\n"
         ":scale=fp32|bf16|fp16|e8m0|e4m3. docs/formats has the exact definitions.\n";
}

}  // namespace

std::function<void(Shell&)> add_formats(CLI::App& app) {
  auto support = std::make_shared<bool>(false);
  app.add_flag("--support", *support,
               "Method x pattern x format x order as Markdown: yes, or the sentence that refuses");
  return
      [support](Shell& shell) { shell.result(*support ? support_table() : lists(shell.bold())); };
}

}  // namespace scant
