#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernels/attention/attention.h"
#include "models/blocks/norm.h"
#include "models/blocks/pass.h"
#include "models/blocks/rotary.h"
#include "models/kv_cache.h"

namespace scant {

/// Causal self-attention: projections, norms of heads, positions, attention, projection back.
struct AttentionSpec {
  AttentionShape shape;
  /// Query, key and value, or one layer whose outputs are these three in this order.
  std::vector<LinearInfo> projections;
  LinearInfo output;
  std::optional<NormSpec> query_norm;  ///< over each head's elements
  std::optional<NormSpec> key_norm;
  std::shared_ptr<const Rotary> rotary;  ///< null: positions come from elsewhere
};

class AttentionBlock {
 public:
  AttentionBlock(const AttentionSpec& spec, const WeightSource& weights);
  /// residual += attention(x)
  void run(ConstMatrixView x, MatrixView residual, const Pass& pass) const;

 private:
  /// Norms the heads of `x`, whose first row is at `position`, and turns them there.
  void place(MatrixView x, const std::optional<Norm>& norm, int64_t position) const;
  /// Adds keys and values to the cache; null if there is none.
  KvLayer* remember(ConstMatrixView k, ConstMatrixView v, const Pass& pass) const;
  void attend(ConstMatrixView q, ConstMatrixView k, ConstMatrixView v, MatrixView out,
              const Pass& pass) const;
  void attend_cached(const KvLayer& cached, ConstMatrixView q, MatrixView out,
                     const Pass& pass) const;

  AttentionShape shape_;
  std::vector<LinearLayer> projections_;
  LinearLayer output_;
  std::optional<Norm> query_norm_;
  std::optional<Norm> key_norm_;
  std::shared_ptr<const Rotary> rotary_;
};

}  // namespace scant
