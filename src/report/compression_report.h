#pragma once

#include <string>

#include "compress/job.h"

namespace scant {

/// What a compression did (or, before it ran, will do), one line per kind of layer and the totals.
std::string plan_text(const CompressionPlan& plan, bool bold);
std::string compression_text(const CompressionResult& result, bool bold);

/// Where the time of a calibrated compression went; empty without calibration.
std::string times_text(const CompressionResult& result);

}  // namespace scant
