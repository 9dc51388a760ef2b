#pragma once

#include <string>
#include <vector>

#include "compress/interplay/advice.h"
#include "compress/interplay/analysis.h"

namespace scant {

/// Version of the schema, docs/guide/interplay-json.md.
constexpr int kStudyJsonVersion = 1;

/// The study as interplay.json: one line per entry, numbers rounded to 6 significant digits (NLL,
/// perplexity and the NLL of windows to 9, layer errors to 4), NaN and infinity as null.
std::string study_json(const Study& study, const StudyAnalysis& analysis,
                       const std::vector<Advice>& advice);

}  // namespace scant
