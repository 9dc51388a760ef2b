#include "cli/calibration_options.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/text_input.h"
#include "compress/calibration_text.h"
#include "core/error.h"

namespace scant {

void CalibrationOptions::add_to(CLI::App& app) {
  app.add_option("--calibration", file,
                 "Text (or .jsonl) whose inputs to the layers the calibrated methods read");
  app.add_option("--calibration-field", field,
                 "The field of each line of a .jsonl file that holds its text [text]");
  app.add_option("--samples", samples, "Calibration windows")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--propagate", propagate,
                 "What feeds the next block: the compressed block's outputs or the dense one's")
      ->check(CLI::IsMember({"compressed", "dense"}))
      ->capture_default_str();
  app.add_flag("--offload", offload,
               "Keep the windows' hidden states in a temporary file beside OUT, not in memory");
  app.add_option("--states", states,
                 "Precision of the hidden states between blocks: f32, or bf16 for half the bytes")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
}

Calibration read_calibration(const Model& model, const CalibrationOptions& options, int64_t window,
                             uint64_t seed, const std::string& out, Shell& shell) {
  if (window < 1) throw Error("--window", "expected at least 1 token");
  if (!options.field.empty() && !is_jsonl(options.file)) {
    throw Error("--calibration-field", "has a meaning only with a .jsonl file");
  }
  const std::string text =
      read_calibration_text(options.file, options.field.empty() ? "text" : options.field);
  const std::vector<int32_t> ids = token_ids(model, text, options.file, window, shell.context());
  Calibration calibration;
  calibration.windows = draw_windows(ids, options.samples, window, seed, options.file);
  calibration.from_compressed = options.propagate == "compressed";
  calibration.states.dtype = options.states == "bf16" ? DType::kBF16 : DType::kF32;
  if (options.offload) {
    const std::filesystem::path folder(out);
    calibration.states.offload = (folder.has_filename() ? folder : folder.parent_path()).string();
  }
  calibration.source = std::filesystem::path(options.file).filename().string();
  calibration.seed = seed;
  const auto count = static_cast<int64_t>(calibration.windows.size());
  shell.note(fmt::format("Calibration: {} windows of {} tokens from {}{}\n", count, window,
                         options.file, count < options.samples ? ", all that it holds" : ""));
  return calibration;
}

}  // namespace scant
