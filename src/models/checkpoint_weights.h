#pragma once

#include <map>
#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "models/linear.h"

namespace scant {

/// Number formats of the inputs of linear layers, by module name.
using ActivationFormats = std::map<std::string, NumberFormat>;

/// The weights of a checkpoint as they are stored, widened to float32. Refuses NaN and infinities.
class CheckpointWeights : public WeightSource {
 public:
  explicit CheckpointWeights(std::shared_ptr<const Checkpoint> checkpoint,
                             ActivationFormats activations = {});

  Matrix parameter(const std::string& tensor) const override;
  bool has(const std::string& tensor) const override;
  Matrix rows(const std::string& tensor, int64_t begin, int64_t count) const override;
  LinearLayer linear(const LinearInfo& info) const override;

  const ActivationFormats& activations() const { return activations_; }

 private:
  void read(const StoredTensor& tensor, int64_t begin, int64_t count, std::span<float> out) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  ActivationFormats activations_;
};

/// The key "activations" of FOLDER/scant.json: an object from module name to format spelling. Empty
/// if there is no such file or key. Throws Error naming file and module for a spelling that is
/// wrong.
ActivationFormats read_activation_formats(const std::string& folder);

}  // namespace scant
