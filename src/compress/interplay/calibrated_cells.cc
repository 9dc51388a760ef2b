#include "compress/interplay/calibrated_cells.h"

#include <filesystem>

#include "compress/calibrated_blocks.h"
#include "compress/model_fingerprint.h"
#include "core/error.h"
#include "core/version.h"
#include "methods/compressed_matrix.h"

namespace scant {
namespace {

CompressionSpec weights_of(const CellSpec& cell, const StepMethods& methods) {
  return {.pattern = cell.sparsity,
          .format = cell.format,
          .order = cell.order.value_or(Order::kSparsifyFirst),
          .pruner = methods.pruner,
          .quantizer = methods.quantizer,
          .joint = methods.joint};
}

}  // namespace

bool is_calibrated(const CellSpec& cell, const StepMethods& methods) {
  if (!cell.sparsity && !cell.format) return false;
  return needs_calibration(weights_of(cell, methods));
}

std::string cell_methods(const CellSpec& cell, const StepMethods& methods) {
  if (!cell.sparsity && !cell.format) return "";
  return method_names(weights_of(cell, methods));
}

CalibratedCells::CalibratedCells(const Model& model, const StepMethods& methods,
                                 const Calibration& calibration, uint64_t seed, std::string folder,
                                 Context& context)
    : model_(model),
      methods_(methods),
      calibration_(calibration),
      seed_(seed),
      folder_(std::move(folder)),
      context_(context) {}

std::string CalibratedCells::key(const CellSpec& cell) const {
  return base_ + " " + cell.name() + " " + cell_methods(cell, methods_);
}

void CalibratedCells::prepare(const CellSpec& cell) {
  if (base_.empty()) {
    base_ = std::string(kVersion) + " " + model_fingerprint(model_) + " " +
            fingerprint_of_windows(calibration_) + " " + std::to_string(seed_);
  }
  Context quiet = context_;
  quiet.progress = [](const Progress&) {};
  try {
    const ContentStore store(folder_);
    compress_blocks(model_, make_plan(model_, recipe_of(cell, seed_, methods_)), calibration_,
                    LayerStore(store, key(cell)), quiet);
  } catch (const Error& error) {
    if (context_.cancelled()) throw;
    failures_[cell.name()] = error.what();
  }
}

LayerCells::OfCell CalibratedCells::layer(const CellSpec& cell, const LinearInfo& info) const {
  LayerCells::OfCell result;
  if (const auto failed = failures_.find(cell.name()); failed != failures_.end()) {
    result.failure = failed->second;
    return result;
  }
  const ContentStore store(folder_);
  auto layer = LayerStore(store, key(cell)).find(info.name, info.outputs, info.inputs);
  if (!layer) throw Error(folder_, info.name + " cannot be read back");
  const StoredTensor& stored = model_.checkpoint().require(info.tensor);
  result.size =
      stored_size(info.outputs, info.inputs, cell.format ? *cell.format : plain_format_of(stored),
                  cell.sparsity, layer->kept);
  result.values = std::move(layer->values);
  return result;
}

void CalibratedCells::clear() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

double CalibratedCells::estimate(const CellSpec& cell) const {
  return estimate_blocks(model_, make_plan(model_, recipe_of(cell, seed_, methods_)), calibration_,
                         context_)
      .total();
}

}  // namespace scant
