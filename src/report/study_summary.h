#pragma once

#include <string>
#include <vector>

#include "compress/interplay/advice.h"
#include "compress/interplay/analysis.h"

namespace scant {

/// The study for a terminal of 100 columns: the paper's table (perplexity; a block per pattern and
/// treatment of activations, rows: formats), the advice, and where the files are. `folder` is as
/// the user wrote it; empty: nothing was written.
std::string study_summary(const Study& study, const StudyAnalysis& analysis,
                          const std::vector<Advice>& advice, const std::string& folder, bool bold);

}  // namespace scant
