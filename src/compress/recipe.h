#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compress/name_pattern.h"
#include "formats/number_format.h"
#include "formats/pattern.h"
#include "methods/compressed_matrix.h"
#include "models/input_quantization.h"

namespace scant {

/// What a step does. An override of a step replaces its pattern and format for the layers whose
/// names match; "none" leaves them alone.
enum class StepKind : uint8_t { kSparsify, kQuantize, kJoint, kActivations };

struct StepOverride {
  NamePattern match;
  bool none = false;
  std::optional<SparsityPattern> pattern;
  std::optional<NumberFormat> format;
  std::optional<std::string> method;
};

/// What changes the dense model before anything is compressed, without changing what it computes
/// (src/compress/transforms).
struct TransformStep {
  enum class Kind : uint8_t { kRotate, kSmooth };
  static constexpr double kDefaultAlpha = 0.5;
  Kind kind = Kind::kRotate;
  bool rotate_down = false;      ///< rotate: also the inputs of the feed-forwards' last layers
  double alpha = kDefaultAlpha;  ///< smooth: share of the inputs, 0 to 1
};

/// Where a rotate step rotates: "residual" or "residual+down". Throws Error listing them.
TransformStep parse_rotation(std::string_view where);
/// Why these cannot follow each other; nothing if they can.
std::optional<std::string> refusal(const std::vector<TransformStep>& transforms);

struct RecipeStep {
  StepKind kind = StepKind::kSparsify;
  std::optional<SparsityPattern> pattern;  ///< sparsify, joint
  std::optional<NumberFormat> format;      ///< quantize, joint, activations
  std::string method;  ///< "magnitude", "rtn", "gain_mask"; of activations empty too: dynamic
  std::vector<StepOverride> overrides;  ///< the last that matches wins
};

inline constexpr int64_t kMostRefitEpochs = 1000;

/// An ordered list of steps, applied to each selected layer in that order
/// (docs/guide/recipes.md describes the YAML form).
struct Recipe {
  uint64_t seed = 0;
  std::vector<NamePattern> only;     ///< if not empty: layers that match one of them
  std::vector<NamePattern> skip;     ///< never these
  std::vector<NamePattern> include;  ///< parameters besides the blocks' linear layers (head, ...)
  std::vector<TransformStep> transforms;  ///< of the whole model, before the steps
  std::vector<RecipeStep> steps;
  /// How often the calibration windows are gone through to fit each block after its layers were
  /// compressed; 0: not at all.
  int64_t refit_epochs = 0;  ///< at most kMostRefitEpochs

  /// Throws Error naming `source`, the line and the key that is wrong and what is allowed.
  static Recipe parse_yaml(std::string_view text, const std::string& source);
  /// The same recipe as YAML; parse_yaml(to_yaml()) gives it back.
  std::string to_yaml() const;
};

/// The methods of steps, by their names in all_pruners(), all_quantizers(), all_joint_solvers().
struct StepMethods {
  std::string pruner = "magnitude";
  std::string quantizer = "rtn";
  std::string joint = "gain_mask";
};

/// The steps, in their order of application, that a pattern, a format or both mean: what the flags
/// of `scant compress` and a cell of a study say. `order` counts only with both.
std::vector<RecipeStep> steps_for(const std::optional<SparsityPattern>& pattern,
                                  const std::optional<NumberFormat>& format, Order order,
                                  const std::optional<NumberFormat>& activations,
                                  const StepMethods& methods = {});

/// What the recipe means for one layer.
struct LayerPlan {
  CompressionSpec weights;
  std::optional<NumberFormat> activation;
  ActivationMethod activation_method;
  bool changes_weights() const { return weights.pattern || weights.format; }
};

/// Throws Error (naming the layer) if the steps cannot be combined, with the sentence that refuses.
LayerPlan plan_layer(const Recipe& recipe, std::string_view layer);

}  // namespace scant
