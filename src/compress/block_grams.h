#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "methods/input_statistics.h"
#include "models/model.h"

namespace scant {

/// Holds the inputs of a block's linear layers for a batch of samples; layers that read the same
/// input share one.
class InputTap : public Tap {
 public:
  /// `last` is the layer at which a sample has shown all that there is to see; empty: the stage is
  /// run to its end.
  explicit InputTap(int64_t batch, std::string last = {}) : batch_(batch), last_(std::move(last)) {}

  /// `sample` counts within the batch.
  void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                    int64_t sample) override;
  bool needs_output(const LinearInfo& layer) const override { return layer.name != last_; }

  struct Input {
    std::vector<std::string> readers;
    std::vector<Matrix> samples;  ///< of the batch; empty where there is none
    std::vector<ConstMatrixView> views() const;
  };
  /// By first reader; emptied.
  std::map<std::string, Input, std::less<>> take();

 private:
  int64_t batch_;
  std::string last_;
  std::mutex mutex_;
  std::map<std::string, Input, std::less<>> inputs_;
};

/// Gram matrices of a block's inputs, by layer name, summed batch by batch in the samples' order,
/// so that a sum does not depend on which thread ran which sample.
class BlockGrams {
 public:
  /// Adds a batch. `dense` holds the same samples' inputs in the dense model; null where they are
  /// the same.
  void add(InputTap& inputs, InputTap* dense, Context& context);
  /// Ends the counting.
  std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>> finish();

 private:
  struct Sums {
    std::vector<std::string> readers;
    Matrix gram, cross;
  };
  std::map<std::string, Sums, std::less<>> sums_;  ///< by first reader
};

}  // namespace scant
