#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compress/interplay/layer_cells.h"
#include "compress/recipe.h"
#include "core/content_store.h"
#include "evaluate/sample_source.h"
#include "models/model.h"

namespace scant {

/// The content-addressed store of a study: cells, figures and sensitivities by everything that they
/// depend on (weights, text, calibration, what is done, version).
class StudyStore {
 public:
  /// Fingerprints the model's files and both texts. `growth_windows` belongs to a cell's key.
  StudyStore(const ContentStore& store, const Model& model, const TextWindows& text,
             const TextWindows& calibration, int64_t growth_windows, uint64_t seed,
             StepMethods methods = {});

  std::optional<Cell> find_cell(const CellSpec& spec) const;
  void put_cell(const Cell& cell) const;

  /// Tensor and layer figures of one pattern and format, every layer.
  struct Figures {
    std::vector<TensorFigures> tensors;
    std::vector<LayerFigures> layers;
  };
  std::optional<Figures> find_figures(const Wave& wave, const SparsityPattern& pattern) const;
  void put_figures(const Wave& wave, const SparsityPattern& pattern, const Figures& figures) const;

  /// NLL of one variant of a sensitivity ranking: "alone" or "exempt", and the layer.
  std::optional<Metric> find_metric(const CellSpec& cell, const std::string& variant) const;
  void put_metric(const CellSpec& cell, const std::string& variant, const Metric& metric) const;

 private:
  std::string cell_key(const CellSpec& spec) const;
  std::string figures_key(const Wave& wave, const SparsityPattern& pattern) const;
  std::string metric_key(const CellSpec& cell, const std::string& variant) const;

  const ContentStore& store_;
  std::string base_, text_, calibration_;
  StepMethods methods_;
};

}  // namespace scant
