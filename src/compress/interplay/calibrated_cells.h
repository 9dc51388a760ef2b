#pragma once

#include <map>
#include <string>

#include "compress/calibration.h"
#include "compress/interplay/cell_grid.h"
#include "compress/interplay/layer_cells.h"
#include "core/content_store.h"
#include "core/context.h"
#include "models/model.h"

namespace scant {

/// Whether a cell's methods read what goes into the layers.
bool is_calibrated(const CellSpec& cell, const StepMethods& methods);

/// "sparsegpt, gptq": the methods of a cell in their order; empty for the dense one.
std::string cell_methods(const CellSpec& cell, const StepMethods& methods);

/// Weights of cells whose methods go block by block (compress/calibrated_blocks.h), made before a
/// cell goes through the text and kept on disk until then.
class CalibratedCells {
 public:
  /// `folder` appears with the first cell; what a killed run left there is used if it is of the
  /// same model, methods and windows. All must outlive this.
  CalibratedCells(const Model& model, const StepMethods& methods, const Calibration& calibration,
                  uint64_t seed, std::string folder, Context& context);

  /// Compresses every layer for the cell. A sentence that refuses it is kept for layer(); throws
  /// Error only if the user asked to stop.
  void prepare(const CellSpec& cell);
  LayerCells::OfCell layer(const CellSpec& cell, const LinearInfo& info) const;
  /// Forgets the layers of all cells.
  void clear();

  /// Seconds that all layers of one cell take, from a few windows of one block.
  double estimate(const CellSpec& cell) const;

 private:
  std::string key(const CellSpec& cell) const;

  const Model& model_;
  const StepMethods& methods_;
  const Calibration& calibration_;
  uint64_t seed_;
  std::string folder_;
  Context& context_;
  std::string base_;  ///< what every cell's weights depend on; made when first needed
  std::map<std::string, std::string> failures_;  ///< by cell
};

}  // namespace scant
