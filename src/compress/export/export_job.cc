#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "compress/export/coded_folder.h"
#include "compress/export/export_target.h"
#include "compress/packed_output.h"
#include "core/atomic_write.h"
#include "core/error.h"

namespace scant {
namespace {

std::string module_of(const std::string& tensor) {
  constexpr std::string_view kSuffix = ".weight";
  return tensor.ends_with(kSuffix) ? tensor.substr(0, tensor.size() - kSuffix.size()) : tensor;
}

/// Tensors of linear layers: those of the blocks, and the head where it has one of its own.
std::set<std::string> linears_of(const Model& model) {
  std::set<std::string> linears;
  for (const LinearInfo& info : model.linears()) linears.insert(info.tensor);
  if (!model.facts().tied_head) linears.insert(model.head().linear().tensor);
  return linears;
}

ExportedWeight weight_of(const std::string& tensor, PackedEntry entry,
                         const std::set<std::string>& linears) {
  ExportedWeight weight{tensor, module_of(tensor), std::move(entry)};
  weight.linear = linears.contains(tensor);
  return weight;
}

void refuse_dense(const Model& model, const ExportTarget& target) {
  const std::string name(target.name);
  const std::string& path = model.checkpoint().path();
  throw Error(path, fmt::format("has no packed tensors, so there are no codes to write as {0}; "
                                "expected a folder of `scant compress --to packed`, or `scant "
                                "compress --to {0}` in one go",
                                name));
}

}  // namespace

void check_export(const ExportTarget& target, const ExportJob& job) {
  const auto ordered = std::ranges::find_if(
      job.weights, [](const ExportedWeight& weight) { return weight.entry.spec.column_order; });
  if (ordered != job.weights.end() && !target.column_order) {
    refuse_weight(*ordered, target.name,
                  "has groups of reordered columns (act-order, desc_act), for which there is no "
                  "place",
                  "its values, as `scant export --to dense` writes them; its codes go --to gptq");
  }
  target.check(job);
}

void check_output(const ExportTarget& target, const std::string& out, bool overwrite) {
  if (target.extension.empty()) {
    const AtomicFolder probe(out, overwrite);
    return;
  }
  const std::string extension(target.extension);
  if (!out.ends_with(extension) || std::filesystem::path(out).stem().empty()) {
    const bool folder = out.ends_with('/') || std::filesystem::is_directory(out);
    throw Error(
        out, fmt::format("--to {} writes one file, whose name ends in {}; expected {}", target.name,
                         extension,
                         folder ? (std::filesystem::path(out) / ("model" + extension)).string()
                                : out + extension));
  }
  const AtomicFile probe(out, overwrite);
}

ExportJob export_job(const Model& model, const ExportOptions& options) {
  ExportJob job{model, {}, options};
  const auto linears = linears_of(model);
  const Checkpoint& checkpoint = model.checkpoint();
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    const PackedEntry* entry = checkpoint.packed_entry_of(tensor);
    if (entry == nullptr) continue;
    ExportedWeight weight = weight_of(tensor.name, *entry, linears);
    const auto input = model.activations().find(weight.module);
    if (input != model.activations().end() && !options.weights_only) {
      weight.inputs = input->second.format;
      weight.input_method = input->second.method();
      weight.input_scale = input->second.scale;
    }
    job.weights.push_back(std::move(weight));
  }
  return job;
}

ExportJob planned_export(const Model& model, const CompressionPlan& plan,
                         const ExportOptions& options) {
  ExportJob job{model, {}, options};
  const auto linears = linears_of(model);
  for (const PlannedLayer& layer : plan.layers) {
    if (!layer.plan.changes_weights()) continue;
    const StoredTensor& stored = model.checkpoint().require(layer.info.tensor);
    ExportedWeight weight = weight_of(layer.info.tensor, packed_entry_of(layer, stored), linears);
    if (layer.plan.activation && !options.weights_only) {
      weight.inputs = layer.plan.activation;
      weight.input_method = layer.plan.activation_method;
    }
    job.weights.push_back(std::move(weight));
  }
  return job;
}

ExportResult export_model(const Model& model, const ExportTarget& target, const std::string& out,
                          const ExportOptions& options, Context& context) {
  check_output(target, out, options.overwrite);
  const ExportJob job = export_job(model, options);
  if (target.needs_codes && job.weights.empty()) refuse_dense(model, target);
  check_export(target, job);
  return target.write(job, out, context);
}

}  // namespace scant
