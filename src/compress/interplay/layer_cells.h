#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compress/interplay/study.h"
#include "formats/size.h"

namespace scant {

/// A layer as the cells of a wave see it.
struct LayerCells {
  struct OfCell {
    Matrix values;  ///< outputs x inputs; empty after a failure
    StoredSize size;
    std::string failure;  ///< the sentence that refuses
  };
  std::vector<OfCell> cells;  ///< in the order of Wave::cells
  std::vector<TensorFigures> tensors;
  std::vector<LayerFigures> layers;
  double compress_seconds = 0;
  double figures_seconds = 0;
};

/// Cells that share a number format (or have none) and go through the model together.
struct Wave {
  std::optional<NumberFormat> format;
  bool activations = false;
  std::vector<CellSpec> cells;  ///< the ones to run
  /// Patterns whose tensor and layer figures are wanted, and the orders of the study.
  std::vector<SparsityPattern> figures;
  std::vector<Order> orders;
  uint64_t seed = 0;
  /// Where given: the cells' weights come from here, made elsewhere.
  std::function<LayerCells::OfCell(const CellSpec&, const LinearInfo&)> made;
};

/// Compresses one weight for every cell of a wave and compares the results. `plain` is the format
/// of values that stay unquantized, `input` the layer's X (tokens x inputs; null: no layer
/// figures), `layer` its name. The weight must be finite.
LayerCells compress_cells(ConstMatrixView weight, const NumberFormat& plain, const Wave& wave,
                          const Matrix* input, std::string_view layer, Context& context);

}  // namespace scant
