#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/metric.h"
#include "methods/compressed_matrix.h"
#include "models/model.h"

namespace scant {

// The results of an interplay study (docs/guide/interplay-json.md): plain data that analysis,
// reports and tests share. Figures follow docs/theory.md.

/// The name of a cell from its spelled parts (empty: none): "dense", "2:4", "int4",
/// "2:4+int4 sparsify-first"; with activations " activations" follows.
std::string cell_name(const std::string& sparsity, const std::string& format,
                      const std::optional<Order>& order, bool activations);

/// What one cell of a study does to the model. Dense: neither pattern nor format.
struct CellSpec {
  std::optional<SparsityPattern> sparsity;
  std::optional<NumberFormat> format;
  std::optional<Order> order;  ///< with both a pattern and a format
  bool activations = false;    ///< the inputs of the linear layers in the same format

  std::string name() const;  ///< cell_name() of its parts
};

/// What a cell costs and what the model says with it.
struct Cell {
  CellSpec spec;
  std::string failure;         ///< why there is no result; the fields below are empty then
  double bits_per_weight = 0;  ///< honest size of the linear layers over their weights
  int64_t bytes = 0;           ///< of the linear layers
  Metric nll;                  ///< one entry per window
  Metric kl;                   ///< KL(dense || cell), nats per token, one entry per window
  double kl_p99 = 0;
  double top1_agreement = 1;
  /// ||h_cell - h_dense|| / ||h_dense|| of the hidden states after each stage of Study::stages.
  std::vector<double> growth;
};

/// Errors of one weight under one pattern and format: Frobenius norms over the whole tensor.
struct TensorFigures {
  int64_t layer = 0;  ///< index into Study::layers
  std::string sparsity, format;
  double weight = 0;         ///< ||w||
  double sparsity_only = 0;  ///< ||eps_S||
  double format_only = 0;    ///< ||eps_Q||
  double sparsify_first = 0;
  double quantize_first = 0;
  double joint = 0;  ///< NaN if the study has no such order; so the two above
  /// ||eps_{s(q)}||^2 - ||eps_{q(s)}||^2, measured on the two results.
  double excess = 0;
  /// The same by theory.md 2: sums of gains over the two selections, at the dense scales.
  double exact_excess = 0;
  bool agrees = false;    ///< the two above, to rounding; false where `premise` says something
  int64_t collapsed = 0;  ///< weights whose magnitudes quantization makes equal to another's
  int64_t swapped = 0;    ///< pairs: one wrongly pruned, one wrongly kept
  /// Empty, or why statement 2 does not apply to the two results ("pruning changed 12 scales").
  std::string premise;
};

/// Output errors of one linear layer on calibration activations, relative to the norm of its dense
/// output ||X W^T||.
struct LayerFigures {
  int64_t layer = 0;
  std::string sparsity, format;
  Order order = Order::kSparsifyFirst;
  bool activations = false;
  double sparsity_only = 0;  ///< ||O_S||
  double format_only = 0;    ///< ||O_Q||: with `activations`, both weights and inputs quantized
  double combined = 0;       ///< ||O_SQ||
  /// ||O_SQ - O_S - O_Q||: the interaction I of theory.md over all tokens and outputs.
  double interaction = 0;
  /// (||O_SQ||^2 - ||O_S||^2 - ||O_Q||^2) / (||O_S||^2 + ||O_Q||^2): positive where the errors
  /// reinforce each other, negative where they cancel.
  double share = 0;
  double cosine = 0;  ///< between O_S and O_Q
  /// 2 tr(E_S H (E_Q on what is kept)^T) / ||X W^T||^2.
  double cross = 0;
};

/// One layer compressed alone, and one exempted alone.
struct LayerSensitivity {
  int64_t layer = 0;
  Metric alone;   ///< NLL with this layer compressed, all others dense
  Metric exempt;  ///< NLL with this layer dense, all others compressed
};

struct Sensitivity {
  CellSpec cell;
  Metric dense;  ///< NLL over the windows of the ranking
  Metric full;   ///< NLL with every layer compressed
  std::vector<LayerSensitivity> layers;
};

/// A pair of weights of one selection group whose order quantization lost.
struct SwappedPair {
  double pruned = 0;  ///< the larger weight, pruned by quantize-first
  double kept = 0;    ///< the smaller weight, kept by quantize-first
  double value = 0;   ///< what quantization makes of the pruned one's magnitude
};

/// One tensor before and after, for histograms: counts over equal bins of [-range, range].
struct TensorPicture {
  int64_t layer = 0;
  std::string sparsity, format;
  double range = 0;
  double scale = 0;  ///< of the block of the first pair shown; the first block's without pairs
  std::vector<int64_t> before, sparsify_first, quantize_first;
  int64_t swapped = 0;
  std::vector<SwappedPair> pairs;  ///< the widest few
};

struct StudyLayer {
  LinearInfo info;
  int64_t dense_bytes = 0;
};

/// Where the time of this run went, seconds.
struct StudyTimes {
  double forward = 0;   ///< bare forward passes of all cells
  double compress = 0;  ///< making the cells' weights
  double figures = 0;   ///< tensor and layer figures, growth
  double head = 0;      ///< output head and divergence
  double total = 0;
  int64_t reused = 0;  ///< cells taken from the store
};

struct StudyInput {
  std::string model;  ///< last part of the path
  std::string architecture;
  int64_t parameters = 0;
  int64_t linear_weights = 0;
  std::string text, calibration;  ///< last parts of the paths
  std::string methods;            ///< "sparsegpt, gptq; joint: scant"; empty: the data-free ones
  int64_t tokens = 0, windows = 0, window = 0;
  int64_t calibration_tokens = 0;  ///< rows of X that layer figures use
  int64_t growth_tokens = 0;
  uint64_t seed = 0;
};

struct Study {
  StudyInput input;
  std::vector<std::string> stages;  ///< names, for Cell::growth
  std::vector<StudyLayer> layers;
  std::vector<Cell> cells;  ///< the dense one first
  std::vector<TensorFigures> tensors;
  std::vector<LayerFigures> layer_figures;
  std::vector<TensorPicture> pictures;
  std::optional<Sensitivity> sensitivity;
  StudyTimes times;
};

}  // namespace scant
