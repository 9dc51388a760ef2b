#pragma once

#include <functional>

#include "compress/interplay/study_store.h"
#include "core/context.h"

namespace scant {

/// Ranks the layers of a model for one cell: NLL with each linear layer compressed alone, and with
/// each exempted alone, over the first `windows` windows of the text. Layers before the changed one
/// are computed once for all. Finished layers are kept in `store`. `advance(share)` reports
/// progress. Throws Error if the cell is refused.
Sensitivity rank_layers(const Model& model, const TextWindows& text, int64_t windows,
                        const CellSpec& cell, const StudyStore& store,
                        const std::function<void(double)>& advance, uint64_t seed,
                        Context& context);

}  // namespace scant
