#include "cli/export_options.h"

#include <fmt/format.h>

#include "cli/parse_option.h"
#include "core/error.h"
#include "report/table.h"

namespace scant {
namespace {

DType parse_plain_dtype(const std::string& text) {
  if (text == "f32") return DType::kF32;
  if (text == "f16") return DType::kF16;
  if (text == "bf16") return DType::kBF16;
  throw Error("", fmt::format("\"{}\" is no type; expected f32, f16 or bf16", text));
}

}  // namespace

void add_export_options(CLI::App& app, ExportOptions& options) {
  app.add_option_function<std::string>(
      "--dtype",
      [&options](const std::string& text) {
        options.dtype = parse_option("--dtype", text, parse_plain_dtype);
      },
      "Type of the plain tensors with --to dense, gguf or onnx: f32, f16 or bf16, rounded to "
      "nearest "
      "(default: as in MODEL where every value is exact, else f32)");
  app.add_flag("--weights-only", options.weights_only,
               "Leave out how the inputs of layers are quantized");
}

std::string export_target_names() {
  std::string names;
  for (const ExportTarget& target : all_export_targets()) {
    names += (names.empty() ? "" : ", ") + std::string(target.name);
  }
  return names;
}

std::string export_table(bool bold) {
  TextTable table({"target", "layout", "weights", "scales", "inputs"});
  std::string below;
  for (const ExportTarget& target : all_export_targets()) {
    std::string name(target.name);
    for (const ExportRow& row : target.rows()) {
      table.add({name, std::string(row.layout), std::string(row.weights), std::string(row.scales),
                 std::string(row.inputs)});
      name.clear();
    }
    below += fmt::format("{}: {}; models: {}.\n", target.name, target.summary, target.models);
  }
  return table.text(bold) + "\n" + below +
         "Pruned weights are stored as codes of zero, or where a type has none as the nearest one, "
         "which is "
         "then said: no reader of these takes a mask.\n";
}

std::string export_text(const std::string& out, const ExportTarget& target,
                        const ExportResult& result) {
  std::string text =
      fmt::format("Wrote {} ({}, {}).", out, bytes_text(static_cast<double>(result.written_bytes)),
                  target.name);
  if (result.weights > 0) text += fmt::format(" {} tensors are codes.", result.weights);
  text += "\n";
  if (result.pruned > 0) {
    text += fmt::format(
        "{} tensors are pruned, but no reader of {} takes a mask: they are stored as dense ones, "
        "in {} instead of {} packed.\n",
        result.pruned, target.name, bytes_text(static_cast<double>(result.pruned_bytes)),
        bytes_text(static_cast<double>(result.pruned_source_bytes)));
  }
  for (const std::string& note : result.notes) text += note + "\n";
  return text;
}

}  // namespace scant
