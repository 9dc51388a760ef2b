#pragma once

#include <map>
#include <optional>
#include <string>

#include "compress/job.h"

namespace scant {

/// Text of scant.json: what was done to the model in this folder (docs/formats/scant-json.md).
/// `calibration` may be null.
std::string scant_json(const Model& source, const Recipe& recipe, const Calibration* calibration,
                       const CompressionResult& result, std::string_view version);

}  // namespace scant
