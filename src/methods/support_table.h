#pragma once

#include <string>
#include <vector>

#include "methods/compressed_matrix.h"

namespace scant {

/// Every combination that the table speaks of: each pruner, quantizer and joint solver with each
/// number format, pattern and order; with a pattern or a format missing, in the first order only.
std::vector<CompressionSpec> support_specs();

/// docs/guide/support.md: method x pattern x format x order, yes or the sentence that refuses.
std::string support_table();

}  // namespace scant
