#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compress/interplay/study.h"
#include "compress/recipe.h"

namespace scant {

/// What a study varies.
struct StudyGrid {
  std::vector<SparsityPattern> sparsity;
  std::vector<NumberFormat> formats;
  std::vector<Order> orders;
  bool activations = false;  ///< also with the inputs of linear layers in the same format
};

/// The paper's study: 50% and 2:4 by magnitude; int8, int4, MXFP8, MXFP6, MXFP4, HBFP8, HBFP6,
/// HBFP4 (arXiv 2405.20935, section 4), and all orders.
StudyGrid default_grid();

/// Dense first, then patterns alone, formats alone, both in every order; then, if asked for, what
/// has a format once more with activations. Throws Error naming the format that cannot hold
/// activations.
std::vector<CellSpec> study_cells(const StudyGrid& grid);

/// A cell by its parts, in any order, separated by '+' or spaces: "2:4+int4",
/// "50%+mxfp4+quantize-first", "int8 activations". With a pattern and a format and no order:
/// sparsify-first. Throws Error naming the part that is neither.
CellSpec parse_cell(std::string_view text);

/// What the cell does, as `scant compress` would be told.
Recipe recipe_of(const CellSpec& cell, uint64_t seed, const StepMethods& methods = {});

/// The format of the inputs in a cell with activations: same spelling, an activation's defaults.
NumberFormat activation_format(const NumberFormat& format);

}  // namespace scant
