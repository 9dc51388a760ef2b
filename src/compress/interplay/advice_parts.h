#pragma once

#include <string>

#include "compress/interplay/advice.h"

namespace scant {

/// A study and what its figures say, with short names for what every advice asks.
struct StudyView {
  const Study& study;
  const StudyAnalysis& analysis;

  const CellSpec& spec(size_t cell) const { return study.cells[cell].spec; }
  std::string name(size_t cell) const { return spec(cell).name(); }
  /// Of the codes of the cell's format.
  int bits(size_t cell) const { return spec(cell).format->code_bits(); }
  /// NLL of one cell minus another's, paired.
  Estimate difference(size_t cell, size_t against) const;
};

// One advice each; without text where the study has no figures for it.

/// Sparsify first or quantize first, at few and at more bits.
Advice order_advice(const StudyView& view);
/// Whether choosing mask and codes together pays against sparsify-first.
Advice joint_advice(const StudyView& view);
/// The fewest bits per weight that a pattern tolerates.
Advice tolerated_advice(const StudyView& view);
/// Sparse cells against formats alone of at most their bytes, and the other way round.
Advice fewer_bits_advice(const StudyView& view);
/// Whose separate loss is larger.
Advice dominant_advice(const StudyView& view);
/// How many combinations compound, and the most.
Advice compounding_advice(const StudyView& view);
/// The layer whose exemption gains most NLL for the bytes that it adds.
Advice exempt_advice(const StudyView& view);
/// Where the two errors of a layer reinforce each other, by kind of layer and the single worst.
Advice layers_advice(const StudyView& view);
/// The block after which the error of the hidden state grew most, on average of the combinations.
Advice growth_advice(const StudyView& view);

/// "+0.021"; "+0.021 [+0.018, +0.024]"; "1 combination", "3 combinations".
std::string number(double value);
std::string estimate_text(const Estimate& estimate);
std::string counted(size_t count, const std::string& what);
/// Three figures: the value, its low and its high end.
void add_figures(Advice& advice, const std::string& label, const Estimate& estimate);

}  // namespace scant
