#pragma once

#include <map>
#include <optional>
#include <string>

#include "compress/job.h"
#include "core/atomic_write.h"

namespace scant {

/// Text of scant.json: what was done to the model in this folder (docs/formats/scant-json.md).
/// `calibration` may be null.
std::string scant_json(const Model& source, const Recipe& recipe, const Calibration* calibration,
                       const CompressionResult& result, std::string_view version);

/// Writes the column maxima of CrossQuant beside scant.json, as `MODULE.input_maxima`; no file if
/// there are none.
void write_column_maxima(const InputQuantizations& inputs, const AtomicFolder& folder);

}  // namespace scant
