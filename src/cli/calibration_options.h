#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/shell.h"
#include "compress/calibration.h"
#include "models/model.h"

namespace scant {

/// The options that say what calibrated methods read, and how.
struct CalibrationOptions {
  std::string file;
  std::string field;
  int64_t samples = 128;
  std::string propagate = "compressed";
  bool offload = false;
  std::string states = "f32";

  /// Declares them on a command.
  void add_to(CLI::App& app);
  bool given() const { return !file.empty(); }
};

/// Tokenizes the file and draws the windows of `window` tokens. `out` is the folder beside which
/// states go with --offload. Throws Error naming the option or the file.
Calibration read_calibration(const Model& model, const CalibrationOptions& options, int64_t window,
                             uint64_t seed, const std::string& out, Shell& shell);

}  // namespace scant
