#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compress/calibrated_blocks.h"
#include "compress/plan.h"
#include "core/context.h"

namespace scant {

/// What became of one layer.
struct LayerResult {
  PlannedLayer planned;  ///< with the real size
  MatrixError error;
  std::optional<double> output_error;  ///< relative, on the calibration windows
  double zeros = 0;                    ///< share of weights that are zero in the result
  std::string dtype;                   ///< how its values are stored; "packed"
};

/// What a refit did to the outputs of one block, relative to the dense block's, on calibration
/// windows that it did not fit.
struct RefitError {
  std::string block;  ///< "block 3"
  double before = 0, after = 0;
};

struct CompressionResult {
  CompressionPlan plan;
  std::vector<LayerResult> layers;
  int64_t written_bytes = 0;  ///< safetensors files of OUT
  bool widened = false;       ///< some tensor had to be stored as F32
  InputQuantizations inputs;  ///< of the layers whose inputs are quantized
  double seconds = 0;
  CalibrationTimes calibration;  ///< of these; zeros without calibration
  std::vector<RefitError> refits;
};

/// How a folder stores compressed layers.
enum class OutputKind : uint8_t {
  kDense,   ///< simulated values, which transformers loads
  kPacked,  ///< codes, positions and scales (docs/formats/packed.md)
};

/// Where a job writes, and what it may use.
struct CompressionJob {
  std::string out;
  OutputKind output = OutputKind::kDense;
  bool overwrite = false;
  const Calibration* calibration = nullptr;  ///< null: data-free methods only
  /// Go on from the finished layers that an interrupted run left in `out`.blocks.
  bool resume = false;
  /// Called with the transformed model before anything is compressed; throws Error to refuse.
  std::function<void(const Model&, const CompressionPlan&)> check_plan;
};

/// Transforms the model if the recipe says so, compresses every planned layer and writes a Hugging
/// Face folder that holds the simulated values (dtype of the source where every value stays exact,
/// else F32) or the packed matrices; config.json, tokenizer and shards like the source's, and
/// scant.json. The folder appears whole or not at all. Memory: one layer; with calibration as
/// compress_blocks(), whose finished layers wait in `out`.blocks meanwhile. Throws Error on NaN or
/// infinite weights (tensor and index named), on I/O failures, and if a method needs calibration
/// and there is none.
CompressionResult compress_model(const Model& model, const Recipe& recipe,
                                 const CompressionJob& job, Context& context);

/// What the recipe makes of the model, as compress_model() would. `transformed` is what
/// transform_model() gave for it; null: no transforms.
CompressionPlan plan_of(const Model& model, const Model* transformed, const Recipe& recipe);

/// Compresses one planned layer of a model with data-free methods, as compress_model does.
CompressedMatrix compress_layer(const Model& model, const PlannedLayer& layer, Context& context);

/// Expected cost of a job: measured on a few rows of each kind of layer, then scaled.
struct CostEstimate {
  int64_t memory_bytes = 0;  ///< peak of anonymous memory
  double seconds = 0;
};
/// With `calibration` (may be null) from the first block on a few of its windows.
CostEstimate estimate_cost(const Model& model, const CompressionPlan& plan,
                           const Calibration* calibration, Context& context);

}  // namespace scant
