#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/config_reader.h"
#include "models/model.h"
#include "models/scratch.h"

namespace scant {

/// How the tensor of a linear layer is stored.
struct LinearOptions {
  bool bias = false;
  bool transposed = false;
};

/// What a family composes a model with. Whatever is named here is validated at once: the tensor
/// must be there with its shape, or Error names file, tensor and expectation.
class ModelBuilder {
 public:
  ModelBuilder(std::shared_ptr<const Checkpoint> checkpoint, std::string architecture,
               LinearInputs inputs);

  const ConfigReader& config() const { return config_; }
  ModelFacts& facts() { return model_->facts_; }
  const std::shared_ptr<ScratchPool>& scratch() const { return scratch_; }

  /// The first of `candidates` under which the checkpoint has `tensor`; the first one if none.
  std::string prefix(std::initializer_list<std::string_view> candidates,
                     std::string_view tensor) const;
  bool has(const std::string& tensor) const;
  /// Checks a parameter and returns its name.
  std::string parameter(const std::string& tensor, const Shape& shape) const;
  /// Values of a small parameter that the composition needs.
  std::vector<float> values(const std::string& tensor) const;
  /// Checks the weight (and bias) of the linear layer `name`.
  LinearInfo linear(const std::string& name, int64_t block, int64_t outputs, int64_t inputs,
                    LinearOptions options = {}) const;

  void add_stage(std::unique_ptr<Stage> stage);
  /// The head is `head` (vocabulary x features), or the embedding if `tie_word_embeddings` says so
  /// and there are no two different tensors; if the configuration is silent, `tied_by_default` or
  /// the absence of `head` decides.
  void set_head(const std::string& head, const std::string& embedding, int64_t features,
                bool tied_by_default);
  std::unique_ptr<Model> finish();

 private:
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<Model> model_;
  void check_inputs() const;

  ConfigReader config_;
  LinearInputs inputs_;
  std::shared_ptr<ScratchPool> scratch_ = std::make_shared<ScratchPool>();
};

}  // namespace scant
