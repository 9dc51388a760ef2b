#pragma once

#include <memory>
#include <optional>
#include <string>

#include "compress/interplay/cell_grid.h"
#include "core/content_store.h"
#include "core/context.h"
#include "evaluate/sample_source.h"

namespace scant {

struct StudyOptions {
  StudyGrid grid;
  /// Methods of the cells; calibrated ones read the windows of the calibration text.
  StepMethods methods;
  std::optional<CellSpec> sensitivity;
  int64_t sensitivity_tokens = 8192;
  /// The layer whose histograms are drawn; empty: of every pattern and format the one with the most
  /// swapped pairs.
  std::string picture;
  uint64_t seed = 0;
};

/// Throws Error naming the option that cannot be: what a session would say.
void check_study(const Model& model, const StudyOptions& options);

struct StudyEstimate {
  int64_t cells = 0;  ///< in the study
  int64_t known = 0;  ///< of these in the store
  double seconds = 0;
};

/// One run of a study (docs/guide/interplay.md): cells that `store` holds are taken from it, new
/// ones are put there as they finish. A cell that fails carries its sentence; the others go on.
class StudySession {
 public:
  /// Fingerprints the model's files and looks up what is known. All arguments must outlive the
  /// session. Throws Error on bad options, as check_study().
  StudySession(const Model& model, const TextWindows& text, const TextWindows& calibration,
               const StudyOptions& options, const ContentStore& store, Context& context);
  ~StudySession();

  /// How long run() would take: measured on one window per thread, times what is not known.
  StudyEstimate estimate();
  /// To be called once. Names of files in Study::input are left to the caller. Throws Error on
  /// unreadable or non-finite weights, or when the user asked to stop.
  Study run();

 private:
  class Job;
  std::unique_ptr<Job> job_;
};

}  // namespace scant
