#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "methods/input_statistics.h"
#include "models/model.h"

namespace scant {

/// Gram matrices of the inputs of a block's linear layers; layers that read the same input share
/// one. Samples come in batches: the inputs of a batch are kept, then summed in the samples' order,
/// so that the sum does not depend on which thread ran which sample.
class GramTap : public Tap {
 public:
  explicit GramTap(int64_t batch) : batch_(batch) {}

  /// `sample` counts within the batch.
  void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                    int64_t sample) override;
  /// Adds what the batch has shown.
  void end_batch(Context& context);
  /// Ends the counting. By layer name.
  std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>> finish();

 private:
  struct Input {
    std::vector<std::string> readers;
    Matrix gram;
    std::vector<Matrix> samples;  ///< of the batch; empty where there is none
  };
  int64_t batch_;
  std::mutex mutex_;
  std::map<std::string, Input, std::less<>> inputs_;  ///< by first reader
};

}  // namespace scant
