#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/context.h"
#include "core/tensor.h"
#include "formats/number_format.h"
#include "models/checkpoint_weights.h"
#include "models/gradients/differentiable.h"
#include "models/linear.h"
#include "models/linear_inputs.h"

namespace scant {

class KvCache;  // models/kv_cache.h

/// One sample on its way through the stages. For a language model: tokens x features.
struct State {
  std::vector<int32_t> tokens;  ///< the window's ids
  int64_t first_position = 0;   ///< position of tokens[0]
  Matrix hidden;                ///< what the last stage made
  /// Of the tokens before `tokens`, to which attention adds; first_position is what it holds. Null:
  /// `tokens` is all there is.
  KvCache* cache = nullptr;
  /// Threads for the work inside a stage; null: the caller's alone. Results differ from those of
  /// one thread by rounding, but not with the number of threads.
  ThreadPool* threads = nullptr;
};

/// Sees activations on their way: calibration statistics, layer errors.
class Tap {
 public:
  virtual ~Tap() = default;
  /// An input of linear layers, tokens x features, before activation quantization, and the layers
  /// that read it. Called from several threads at once for different samples.
  virtual void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                            int64_t sample) = 0;
  /// Whether anything reads what `layer` makes of that input. Where a tap says no, the stage leaves
  /// the layer out and what it hands on is worthless.
  virtual bool needs_output(const LinearInfo& /*layer*/) const { return true; }
};

struct ModelStructure;  // models/structure.h

/// A stage with its parameters in memory.
class LoadedStage {
 public:
  virtual ~LoadedStage() = default;
  /// Advances one sample. Thread-safe: stages are shared by samples. Single-threaded inside but
  /// for what State::threads allows.
  virtual void run(State& state, int64_t sample, Tap* tap) const = 0;
};

/// A step State -> State of a model: an embedding, a transformer block, a final norm.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual const std::string& name() const = 0;  ///< "embed", "block 3", "final norm"
  /// The linear layers that belong to the stage, in the order of evaluation.
  virtual const std::vector<LinearInfo>& linears() const = 0;
  /// Reads parameters, widened to float32, from `weights`, which must outlive the result (an
  /// embedding looks its rows up while it runs).
  virtual std::unique_ptr<LoadedStage> load(const WeightSource& weights) const = 0;
  /// The same with derivatives; null for stages that nothing is fitted in.
  virtual std::unique_ptr<DifferentiableStage> differentiable(const WeightSource& weights) const;
  /// Adds how its parameters are connected.
  virtual void describe(ModelStructure& structure) const = 0;
};

/// The output head: hidden states to logits, in slices of the vocabulary so that memory stays
/// bounded.
class Head {
 public:
  virtual ~Head() = default;
  virtual int64_t vocabulary() const = 0;
  /// Rows [begin, begin + count) of the head's weight, count x features.
  virtual Matrix load_slice(const WeightSource& weights, int64_t begin, int64_t count) const = 0;
  /// The head as a linear layer, which WeightSource::linear can load whole.
  virtual LinearInfo linear() const = 0;
  /// Names its tensor.
  virtual void describe(ModelStructure& structure) const = 0;
};

/// Facts of an architecture that are printed or that callers need.
struct ModelFacts {
  std::string architecture;  ///< "LlamaForCausalLM"
  int64_t layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0, feed_forward = 0;
  int64_t vocabulary = 0;
  int64_t positions = 0;  ///< the longest context; 0 = unlimited
  bool tied_head = false;
};

/// A model: a list of stages over a checkpoint. Holds no weights itself; blocks are streamed.
class Model {
 public:
  /// Opens and validates: every tensor of the architecture must be there with its shape. Throws
  /// Error naming file and tensor, or the option of the configuration that is not supported. Reads
  /// scant.json if the folder has one: what happens to the inputs of linear layers.
  static std::unique_ptr<Model> open(const std::string& path);
  static std::unique_ptr<Model> from_checkpoint(std::shared_ptr<const Checkpoint> checkpoint);
  /// With these inputs instead of those that scant.json of the checkpoint's folder says.
  static std::unique_ptr<Model> from_checkpoint(std::shared_ptr<const Checkpoint> checkpoint,
                                                LinearInputs inputs);

  const Checkpoint& checkpoint() const { return *checkpoint_; }
  const std::shared_ptr<const Checkpoint>& shared_checkpoint() const { return checkpoint_; }
  const ModelFacts& facts() const { return facts_; }
  const std::vector<std::unique_ptr<Stage>>& stages() const { return stages_; }
  const Head& head() const { return *head_; }
  /// The weights as stored. Substitute another WeightSource to evaluate changed weights.
  const WeightSource& weights() const { return *weights_; }
  /// All linear layers of the blocks, in order.
  std::vector<LinearInfo> linears() const;
  /// How its parameters are connected.
  ModelStructure structure() const;
  /// How the compressed model quantizes the inputs of linear layers.
  const InputQuantizations& activations() const { return weights_->activations(); }

 private:
  friend class ModelBuilder;
  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<CheckpointWeights> weights_;
  ModelFacts facts_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::unique_ptr<Head> head_;
};

/// Architectures that Model::open knows, for messages and documentation.
std::vector<std::string> supported_architectures();

/// Runs all stages over a batch of samples: each stage is loaded once for the batch, samples run
/// in parallel, each on one thread. `after_stage(index)` is called after each stage (growth of
/// errors, calibration). Throws Error if a token is not in the vocabulary, a sample is longer than
/// the model's positions, or the user asked to stop.
void run_stages(const Model& model, const WeightSource& weights, std::span<State> batch, Tap* tap,
                Context& context, const std::function<void(size_t)>& after_stage = {});

/// Rows of the head to load at a time: few enough for bounded memory (32 MiB), enough for a product
/// at full speed.
int64_t head_slice_rows(const Model& model);

/// logits = hidden * slice^T, tokens x slice rows: one slice of the vocabulary. Single-threaded.
void head_logits(ConstMatrixView hidden, ConstMatrixView slice, MatrixView logits);

/// Logits of one state that went through all stages, tokens x vocabulary; for short inputs and
/// tests. Parallel over slices of the vocabulary.
Matrix logits(const Model& model, const State& state, Context& context);

}  // namespace scant
