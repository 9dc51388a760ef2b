#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "compress/recipe.h"
#include "formats/size.h"
#include "models/model.h"

namespace scant {

/// One parameter of the model that the recipe changes, and how.
struct PlannedLayer {
  LinearInfo info;  ///< for included parameters (head, embeddings): block -1, kind = last name part
  LayerPlan plan;
  StoredSize size;  ///< predicted from the pattern's count; a run replaces it by the real count
};

/// What a recipe means for a model, before anything is computed.
struct CompressionPlan {
  std::vector<PlannedLayer> layers;
  int64_t other_bytes = 0;         ///< parameters that stay as they are, as stored
  int64_t compressed_bytes = 0;    ///< sum of the layers' predicted sizes
  int64_t source_bytes = 0;        ///< the layers as stored now
  int64_t source_other_bytes = 0;  ///< the other parameters as stored now
  int64_t weights = 0;             ///< weights in the layers
  int64_t largest_layer = 0;       ///< weights of the largest layer
  int64_t refit_epochs = 0;        ///< of the recipe
  double bits_per_weight() const;
};

/// The plain format of a stored tensor's values: what they keep where no step quantizes them.
/// Block types are read as float32.
NumberFormat plain_format_of(const StoredTensor& tensor);

/// Counts what the layers and the other parameters take in `source`, from which a transformed model
/// was made.
void count_source(CompressionPlan& plan, const Model& source);

/// Matches the recipe's names to the model's layers and predicts sizes.
/// Throws Error if a name pattern matches nothing or a layer's steps are refused.
CompressionPlan make_plan(const Model& model, const Recipe& recipe);

}  // namespace scant
