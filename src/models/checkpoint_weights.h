#pragma once

#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "models/linear.h"

namespace scant {

/// The weights of a checkpoint as they are stored, widened to float32. Refuses NaN and infinities.
class CheckpointWeights : public WeightSource {
 public:
  explicit CheckpointWeights(std::shared_ptr<const Checkpoint> checkpoint,
                             InputQuantizations activations = {});

  Matrix parameter(const std::string& tensor) const override;
  bool has(const std::string& tensor) const override;
  Matrix rows(const std::string& tensor, int64_t begin, int64_t count) const override;
  LinearLayer linear(const LinearInfo& info) const override;

  const InputQuantizations& activations() const { return activations_; }

 private:
  Matrix read_weight(const LinearInfo& info, const StoredTensor& stored) const;
  void read(const StoredTensor& tensor, int64_t begin, int64_t count, std::span<float> out) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  InputQuantizations activations_;
};

}  // namespace scant
