#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/blocks/attention.h"
#include "models/blocks/feed_forward.h"
#include "models/blocks/norm.h"
#include "models/model.h"

namespace scant {

/// A transformer block with residual connections. Norms first: x += attention(norm(x)), x +=
/// feed_forward(norm(x)). Norms last: x = norm(x + attention(x)), x = norm(x + feed_forward(x)).
struct DecoderBlockSpec {
  int64_t index = 0;
  bool norm_first = true;
  NormSpec attention_norm;
  AttentionSpec attention;
  NormSpec feed_forward_norm;
  FeedForwardSpec feed_forward;
};

class DecoderBlock : public Stage {
 public:
  DecoderBlock(DecoderBlockSpec spec, std::shared_ptr<ScratchPool> scratch);
  const std::string& name() const override { return name_; }
  const std::vector<LinearInfo>& linears() const override { return linears_; }
  std::unique_ptr<LoadedStage> load(const WeightSource& weights) const override;
  std::unique_ptr<DifferentiableStage> differentiable(const WeightSource& weights) const override;
  void describe(ModelStructure& structure) const override;

 private:
  DecoderBlockSpec spec_;
  std::shared_ptr<ScratchPool> scratch_;
  std::string name_;
  std::vector<LinearInfo> linears_;
};

}  // namespace scant
