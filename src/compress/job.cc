#include "compress/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "checkpoint/folder_writer.h"
#include "compress/dense_folder.h"
#include "compress/input_scales.h"
#include "compress/model_fingerprint.h"
#include "compress/packed_output.h"
#include "compress/replaced_weights.h"
#include "compress/scant_json.h"
#include "compress/tensor_output.h"
#include "compress/transforms/transform_model.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/stopwatch.h"
#include "core/version.h"

namespace scant {
namespace {

/// The layer's weight as outputs x inputs, whatever its orientation on disk.
Matrix read_weight(const Model& model, const LinearInfo& info, int64_t rows) {
  const Checkpoint& checkpoint = model.checkpoint();
  const StoredTensor& stored = checkpoint.require(info.tensor);
  if (!info.transposed) {
    Matrix weight(rows, info.inputs);
    // A vector is one row of the matrix but many rows of its file.
    const int64_t stored_rows = info.outputs == 1 ? stored.rows() : rows;
    checkpoint.read_rows(stored, 0, stored_rows, weight.values());
    return weight;
  }
  Matrix stored_values(info.inputs, info.outputs);
  checkpoint.read_rows(stored, 0, info.inputs, stored_values.values());
  Matrix weight(rows, info.inputs);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < info.inputs; ++c) weight(r, c) = stored_values(c, r);
  }
  return weight;
}

CompressedMatrix compress_rows(const Model& model, const PlannedLayer& layer, int64_t rows,
                               Context& context) {
  const Matrix weight = read_weight(model, layer.info, rows);
  try {
    return compress_matrix(weight.view(), layer.plan.weights, Statistics{}, context);
  } catch (const Error& error) {
    throw Error(model.checkpoint().path() + ": tensor " + layer.info.tensor, error.what());
  }
}

double share_of_zeros(std::span<const float> values) {
  const auto zeros = std::count(values.begin(), values.end(), 0.0f);
  return static_cast<double>(zeros) / static_cast<double>(std::max<size_t>(values.size(), 1));
}

/// What became of one compressed layer, before it is written.
LayerResult result_of(const Model& model, const PlannedLayer& layer,
                      const CompressedLayer& compressed) {
  LayerResult result{layer, compressed.error, compressed.output_error,
                     share_of_zeros(compressed.values.values()), ""};
  const CompressionSpec& spec = layer.plan.weights;
  if (spec.pattern) {
    const StoredTensor& stored = model.checkpoint().require(layer.info.tensor);
    result.planned.size = compressed_size(layer.info.outputs, layer.info.inputs, spec,
                                          plain_format_of(stored), compressed.kept);
  }
  return result;
}

/// Writes one compressed layer: its parts, or its simulated values. How.
std::string write_layer(const Model& model, const LinearInfo& info, CompressedLayer compressed,
                        FolderWriter& writer) {
  if (compressed.packed) {
    write_packed(writer, info.tensor, *compressed.packed);
    return "packed";
  }
  const Matrix values = stored_orientation(info.transposed, std::move(compressed.values));
  const StoredTensor& stored = model.checkpoint().require(info.tensor);
  return std::string(
      dtype_name(write_simulated(writer, stored.name, values.values(), stored.dtype)));
}

/// The finished layers of a calibrated job, in a folder beside its output until that is written.
class FinishedBlocks {
 public:
  FinishedBlocks(const Model& model, const Recipe& recipe, const CompressionJob& job)
      : store_(prepared(job)),
        layers_(store_, job_key(model, recipe, *job.calibration),
                job.output == OutputKind::kPacked) {}

  /// A run that failed before its first block leaves nothing to go on from.
  ~FinishedBlocks() {
    std::error_code ignored;
    std::filesystem::remove(store_.folder(), ignored);  // only if it is empty
  }
  FinishedBlocks(const FinishedBlocks&) = delete;
  FinishedBlocks& operator=(const FinishedBlocks&) = delete;

  const LayerStore& layers() const { return layers_; }

  CompressedLayer take(const PlannedLayer& layer) const {
    auto found = layers_.find(layer.info.name, layer.info.outputs, layer.info.inputs);
    if (!found) throw Error(store_.folder(), layer.info.name + " cannot be read back");
    return std::move(*found);
  }

  /// Norms and biases that refits changed, by tensor name; `result` learns of their errors.
  std::map<std::string, std::vector<float>> take_refits(const Model& model,
                                                        CompressionResult& result) const {
    std::map<std::string, std::vector<float>> vectors;
    for (const auto& stage : model.stages()) {
      const auto refit = layers_.find_refit(stage->name());
      if (!refit) continue;
      vectors.insert(refit->vectors.begin(), refit->vectors.end());
      result.refits.push_back({stage->name(), refit->before, refit->after});
    }
    return vectors;
  }

  void remove() const {
    std::error_code ignored;
    std::filesystem::remove_all(store_.folder(), ignored);
  }

 private:
  static std::string prepared(const CompressionJob& job) {
    const std::filesystem::path out(job.out);
    std::string folder = (out.has_filename() ? out : out.parent_path()).string() + ".blocks";
    std::error_code ignored;
    if (!job.resume && std::filesystem::exists(folder, ignored)) {
      if (!job.overwrite) {
        throw Error(folder,
                    "was left by an interrupted run; --resume goes on from there, --force starts "
                    "anew");
      }
      std::filesystem::remove_all(folder, ignored);
    }
    return folder;
  }

  static std::string job_key(const Model& model, const Recipe& recipe,
                             const Calibration& calibration) {
    Hasher hasher;
    hasher.add(model_fingerprint(model)).add(recipe.to_yaml());
    hasher.add(calibration.from_compressed ? "compressed" : "dense");
    hasher.add(dtype_name(calibration.states.dtype)).add(fingerprint_of_windows(calibration));
    // Raised when what is computed changes between releases.
    constexpr int kResultsVersion = 2;
    return "compress " + std::to_string(kResultsVersion) + "\tjob=" + hasher.hex();
  }

  ContentStore store_;
  LayerStore layers_;
};

/// The type that a tensor has in the source; F32 for one that a transform added.
std::optional<DType> dtype_in(const Model& source, const StoredTensor& tensor) {
  const StoredTensor* stored = source.checkpoint().find(tensor.name);
  return stored != nullptr ? stored->dtype : DType::kF32;
}

/// How the tensors that are compressed will be stored.
std::map<std::string, PackedEntry> packed_entries(
    const Checkpoint& checkpoint,
    const std::map<std::string, const PlannedLayer*, std::less<>>& planned) {
  std::map<std::string, PackedEntry> entries;
  for (const auto& [tensor, layer] : planned) {
    entries.emplace(tensor, packed_entry_of(*layer, checkpoint.require(tensor)));
  }
  return entries;
}

void require_calibration(const CompressionPlan& plan, const Calibration* calibration) {
  if (plan.refit_epochs > 0 && calibration == nullptr) {
    throw Error("--calibration", "missing; expected a text file, which --refit needs");
  }
  if (plan.refit_epochs > 0 &&
      static_cast<int64_t>(calibration->windows.size()) < kFewestRefitWindows) {
    throw Error("--refit", fmt::format("needs at least {} calibration windows; there are {}",
                                       kFewestRefitWindows, calibration->windows.size()));
  }
  for (const PlannedLayer& layer : plan.layers) {
    if (plan.refit_epochs > 0 && layer.size.column_order > 0) {
      throw Error("--refit", fmt::format("does not keep the column order that {} gives layer {}; "
                                         "expected --quantizer gptq, or --refit 0",
                                         layer.plan.weights.quantizer, layer.info.name));
    }
    if (!layer.plan.changes_weights() || !needs_calibration(layer.plan.weights)) continue;
    if (calibration == nullptr) {
      throw Error("--calibration", "missing; expected a text file, which the method of layer " +
                                       layer.info.name + " needs");
    }
    if (layer.info.block < 0) {
      throw Error(
          "recipe: layer " + layer.info.name,
          "its method needs calibrated inputs, which only linear layers of the blocks have; "
          "expected magnitude, rtn or gain_mask");
    }
  }
}

}  // namespace

CompressedMatrix compress_layer(const Model& model, const PlannedLayer& layer, Context& context) {
  return compress_rows(model, layer, layer.info.outputs, context);
}

CompressionPlan plan_of(const Model& model, const Model* transformed, const Recipe& recipe) {
  CompressionPlan plan = make_plan(transformed != nullptr ? *transformed : model, recipe);
  if (transformed != nullptr) count_source(plan, model);
  return plan;
}

CompressionResult compress_model(const Model& source, const Recipe& recipe,
                                 const CompressionJob& job, Context& context) {
  const Stopwatch watch;
  CompressionResult result;
  const auto transformed = transform_model(source, recipe, job.calibration, context);
  const Model& model = transformed ? *transformed : source;
  result.plan = plan_of(source, transformed.get(), recipe);
  require_calibration(result.plan, job.calibration);
  if (job.check_plan) job.check_plan(model, result.plan);
  std::map<std::string, const PlannedLayer*, std::less<>> by_tensor;
  for (const PlannedLayer& layer : result.plan.layers) {
    if (layer.plan.changes_weights()) by_tensor[layer.info.tensor] = &layer;
  }
  const Checkpoint& checkpoint = model.checkpoint();
  AtomicFolder folder(job.out, job.overwrite);
  std::optional<FinishedBlocks> blocks;
  if (job.calibration != nullptr) {
    blocks.emplace(model, recipe, job);
    result.calibration =
        compress_blocks(model, result.plan, *job.calibration, blocks->layers(), context);
  }
  const auto vectors =
      blocks ? blocks->take_refits(model, result) : std::map<std::string, std::vector<float>>();
  ReplacedWeights finished(model.weights(), std::nullopt);
  for (const auto& [tensor, values] : vectors) finished.replace_vector(tensor, values);
  for (const PlannedLayer& layer : result.plan.layers) {
    if (!blocks || layer.info.block < 0 || !layer.plan.changes_weights()) continue;
    finished.replace(layer.info.name, [&] { return std::move(blocks->take(layer).values); });
  }
  result.inputs = input_quantizations(model, finished, result.plan,
                                      blocks ? job.calibration : nullptr, context);
  const auto entries = job.output == OutputKind::kPacked ? packed_entries(checkpoint, by_tensor)
                                                         : std::map<std::string, PackedEntry>();
  FolderWriter writer(folder, plan_packed(checkpoint, entries));
  int64_t total = 0;
  for (const StoredTensor& tensor : checkpoint.tensors()) total += element_count(tensor.shape);
  int64_t done = 0;
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    if (context.cancelled()) throw Error(job.out, "stopped; nothing was written");
    const auto planned = by_tensor.find(tensor.name);
    if (const auto vector = vectors.find(tensor.name); vector != vectors.end()) {
      writer.begin_tensor(tensor.name, tensor.dtype.value_or(DType::kF32));
      append_values(writer, vector->second, tensor.dtype.value_or(DType::kF32));
    } else if (planned == by_tensor.end()) {
      const DType dtype = copy_tensor(checkpoint, tensor, writer);
      result.widened |= dtype == DType::kF32 && dtype_in(source, tensor) != DType::kF32;
    } else {
      const PlannedLayer& layer = *planned->second;
      const auto entry = entries.find(tensor.name);
      const PackedSpec* packing = entry != entries.end() ? &entry->second.spec : nullptr;
      CompressedLayer compressed =
          blocks && layer.info.block >= 0
              ? blocks->take(layer)
              : CompressedLayer::from(compress_layer(model, layer, context), packing);
      result.layers.push_back(result_of(model, layer, compressed));
      result.layers.back().dtype = write_layer(model, layer.info, std::move(compressed), writer);
      result.widened |=
          result.layers.back().dtype == "F32" && dtype_in(source, tensor) != DType::kF32;
    }
    done += element_count(tensor.shape);
    context.progress({"write", done, total, "weights"});
  }
  writer.close();
  result.written_bytes = static_cast<int64_t>(writer.total_bytes());
  result.plan.compressed_bytes = 0;
  for (const LayerResult& layer : result.layers) {
    result.plan.compressed_bytes += layer.planned.size.total();
  }
  write_companions(checkpoint, folder, widened_dtype(result.widened),
                   entries.empty() ? nullptr : packed_config(entries));
  write_column_maxima(result.inputs, folder);
  OutputFile description(folder.file("scant.json"));
  description.write(scant_json(model, recipe, job.calibration, result, kVersion));
  description.close();
  folder.commit();
  if (blocks) blocks->remove();
  result.seconds = watch.seconds();
  return result;
}

CostEstimate estimate_cost(const Model& model, const CompressionPlan& plan,
                           const Calibration* calibration, Context& context) {
  constexpr int64_t kProbeWeights = int64_t{1} << 21;  // enough for all threads to take part
  constexpr double kWriteBytesPerSecond = 500e6;       // a plain disk; reading is hidden by the map
  require_calibration(plan, calibration);
  CostEstimate cost;
  std::map<std::string, double> seconds_per_weight;  // by pattern, format, order and width
  for (const PlannedLayer& layer : plan.layers) {
    if (!layer.plan.changes_weights()) continue;
    if (calibration != nullptr && layer.info.block >= 0) continue;
    const CompressionSpec& spec = layer.plan.weights;
    const std::string key = (spec.pattern ? spec.pattern->spelling() : "") + "|" +
                            (spec.format ? spec.format->spelling() : "") + "|" +
                            std::string(order_name(spec.order)) + "|" +
                            std::to_string(layer.info.inputs);
    auto found = seconds_per_weight.find(key);
    if (found == seconds_per_weight.end()) {
      const int64_t rows = std::min(layer.info.outputs, kProbeWeights / layer.info.inputs + 1);
      const Stopwatch watch;
      compress_rows(model, layer, rows, context);
      found = seconds_per_weight
                  .emplace(key, watch.seconds() / static_cast<double>(rows * layer.info.inputs))
                  .first;
    }
    cost.seconds += found->second * static_cast<double>(layer.info.outputs * layer.info.inputs);
  }
  cost.seconds += static_cast<double>(plan.other_bytes + 4 * plan.weights) / kWriteBytesPerSecond;
  // Source and result in float32, a scratch copy, codes and mask of up to two candidates.
  constexpr int64_t kBytesPerWeight = 16;
  constexpr int64_t kProgram = 64 << 20;
  cost.memory_bytes = plan.largest_layer * kBytesPerWeight + kProgram;
  if (calibration != nullptr) {
    const CalibrationTimes times = estimate_blocks(model, plan, *calibration, context);
    cost.seconds += times.total();
    const bool measured = std::ranges::any_of(plan.layers, [](const PlannedLayer& layer) {
      return layer.plan.activation && layer.plan.activation_method.needs_calibration();
    });
    if (measured) cost.seconds += times.forward / 2;  // the third pass over each block
    cost.memory_bytes =
        std::max(cost.memory_bytes, block_memory(model, plan, *calibration) + kProgram);
  }
  return cost;
}

}  // namespace scant
