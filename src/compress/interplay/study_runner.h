#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "compress/interplay/calibration_inputs.h"
#include "compress/interplay/layer_cells.h"
#include "core/context.h"
#include "evaluate/perplexity.h"

namespace scant {

/// Runs the cells of a study through one model and one text. The dense model runs once; what cells
/// are compared with is kept: its final states, and the states of a few windows after every stage.
/// Memory: dense and each cell's hidden states of the whole text, and the weights of one block for
/// every cell of a wave.
class StudyRunner {
 public:
  /// All must outlive the runner; `calibration` is only read for layer figures.
  StudyRunner(const Model& model, const TextWindows& text, const TextWindows& calibration,
              StudyTimes& times, Context& context);

  /// The dense cell, run at the first call.
  const Cell& dense();
  /// What a wave yields.
  struct Result {
    std::vector<Cell> cells;  ///< in the order of the wave's cells
    std::vector<TensorFigures> tensors;
    std::vector<LayerFigures> layers;
  };
  /// `advance(share)` is called on the way, with the share of the wave that is done.
  Result run(const Wave& wave, const std::function<void(double)>& advance);
  /// Cells that fit the memory which is set aside for a wave; at least one.
  int64_t cells_at_once() const;
  /// Windows of which hidden states are compared after every stage.
  int64_t growth_windows() const;

 private:
  struct Running;
  void run_dense();
  void compress_stage(const Wave& wave, const Stage& stage, std::vector<Running>& running,
                      Result& result);
  void forward_stage(const Stage& stage, size_t index, std::vector<Running>& running);
  void score(std::vector<Running>& running, Result& result,
             const std::function<void(double)>& after_slice);
  int64_t layer_number(const std::string& name) const;

  const Model& model_;
  const TextWindows& text_;
  const TextWindows& calibration_;
  StudyTimes& times_;
  Context& context_;
  std::vector<LinearInfo> layers_;
  std::optional<CalibrationInputs> inputs_;
  std::optional<Cell> dense_;
  std::vector<State> dense_states_;                ///< after all stages
  std::vector<std::vector<Matrix>> dense_growth_;  ///< by stage, by window
};

/// Runs stages [begin, end) over states, on all threads.
void run_stage_range(const Model& model, const WeightSource& weights, size_t begin, size_t end,
                     std::span<State> states, Context& context);

}  // namespace scant
