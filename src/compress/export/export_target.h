#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/packed_folder.h"
#include "compress/plan.h"
#include "core/context.h"
#include "models/model.h"

namespace scant {

/// A weight that a target is asked to hold as codes.
struct ExportedWeight {
  std::string tensor;  ///< "model.layers.0.mlp.up_proj.weight"
  std::string module;  ///< without ".weight"
  PackedEntry entry;
  bool linear = false;  ///< of a block, or a head of its own; else a table or a vector
  std::optional<NumberFormat> inputs;  ///< how its inputs are quantized
  ActivationMethod input_method;
  std::optional<BlockScale> input_scale;  ///< of static inputs; absent before they were measured
};

struct ExportOptions {
  std::optional<DType> dtype;  ///< of plain tensors; absent: as in the source, F32 where inexact
  bool weights_only = false;   ///< leave out how inputs are quantized
  bool overwrite = false;
};

/// What is exported, known before anything is written.
struct ExportJob {
  const Model& model;
  std::vector<ExportedWeight> weights;  ///< those that are stored as codes, in the model's order
  ExportOptions options;
};

struct ExportResult {
  int64_t written_bytes = 0;        ///< of tensors
  int64_t weights = 0;              ///< tensors written as codes
  int64_t pruned = 0;               ///< of these: pruned ones, whose zeros are written as codes
  int64_t pruned_bytes = 0;         ///< what the pruned ones take now
  int64_t pruned_source_bytes = 0;  ///< what they take packed
  std::vector<std::string> notes;   ///< sentences for people
};

/// A row of `scant export --list`.
struct ExportRow {
  std::string_view layout;   ///< the target's own name of it
  std::string_view weights;  ///< elements and options
  std::string_view scales;   ///< granularity and storage
  std::string_view inputs;   ///< formats of quantized inputs
};

/// A format of another tool that `scant export` writes: one file each in this folder, one line each
/// in all_export_targets.cc.
struct ExportTarget {
  std::string_view name;     ///< as in --to
  std::string_view summary;  ///< one clause: what it is and who reads it
  std::string_view models;   ///< architectures, one clause
  /// Whether a model needs packed tensors. Else any model will do.
  bool needs_codes;
  std::span<const ExportRow> (*rows)();
  /// Throws Error naming tensor and property if the target cannot hold something, and the nearest
  /// thing that it can. Needs no codes: it is also asked before a job compresses.
  void (*check)(const ExportJob& job);
  /// Writes `out`, which appears whole or not at all, one tensor at a time.
  ExportResult (*write)(const ExportJob& job, const std::string& out, Context& context);
  /// Of the one file that it writes (".gguf"); empty: it writes a folder.
  std::string_view extension = {};
  /// Whether it takes matrices whose groups are runs of reordered columns (act-order).
  bool column_order = false;
};

/// Every target, in the order of help and tables.
std::span<const ExportTarget> all_export_targets();
/// Throws Error naming the option and listing the targets.
const ExportTarget& find_export_target(std::string_view name);

/// Throws Error, as ExportTarget::check does, for what the target cannot hold.
void check_export(const ExportTarget& target, const ExportJob& job);

/// Throws Error unless the target can write `out` now: a new folder, or a new file whose name ends
/// as it should; an old one only if `overwrite` is set.
void check_output(const ExportTarget& target, const std::string& out, bool overwrite);

/// What a packed model asks a target to hold.
ExportJob export_job(const Model& model, const ExportOptions& options);
/// The same for what a plan will make of `model` (transformed already), for checking beforehand.
ExportJob planned_export(const Model& model, const CompressionPlan& plan,
                         const ExportOptions& options);

/// Checks and writes. Throws Error if the target needs codes and the model has none, and as
/// ExportTarget::check.
ExportResult export_model(const Model& model, const ExportTarget& target, const std::string& out,
                          const ExportOptions& options, Context& context);

}  // namespace scant
