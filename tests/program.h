#pragma once

#include <string>
#include <vector>

namespace scant {

/// What one run of the real program did.
struct ProgramRun {
  int status = -1;
  std::string output;  ///< standard output
  std::string errors;  ///< standard error
};

/// Runs the built `scant` with these arguments (no shell) and waits.
ProgramRun run_scant(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& environment = {});

/// Starts it, sends SIGKILL after `milliseconds`, and waits. True if it was killed (and not done).
bool run_scant_and_kill(const std::vector<std::string>& arguments, int milliseconds);

/// An empty scratch folder of this test.
std::string scratch_folder();

/// The embedded model.
std::string embedded_model();
std::string embedded_text();
std::string embedded_calibration();

}  // namespace scant
