#pragma once

#include <string>
#include <vector>

#include "compress/interplay/advice.h"
#include "compress/interplay/analysis.h"
#include "compress/interplay/study.h"

namespace scant {

/// Creates the folder of a study if needed: before the work, so that an unwritable place is known
/// first. Throws Error naming it.
void prepare_study_folder(const std::string& folder);

/// Writes interplay.json, the tables and report.html into a folder, each file whole or not at all.
void write_study(const std::string& folder, const Study& study, const StudyAnalysis& analysis,
                 const std::vector<Advice>& advice);

}  // namespace scant
