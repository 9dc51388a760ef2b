#include "compress/export/gguf_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "compress/export/coded_folder.h"
#include "compress/export/dense_target.h"
#include "compress/export/gguf_tensors.h"
#include "core/error.h"

namespace scant {
namespace {

constexpr std::string_view kName = "GGUF";
constexpr uint32_t kQuantizationVersion = 2;

void check_weight(const ExportedWeight& weight) {
  const PackedSpec& spec = weight.entry.spec;
  if (spec.format.is_plain()) return;
  if (weight.entry.shape.size() != 2) {
    refuse_weight(
        weight, kName,
        fmt::format("is a vector in {}, of which readers take F32 only", spec.format.spelling()),
        "the vector as it is");
  }
  if (spec.column_factors) {
    refuse_weight(weight, kName, "has a factor per column (awq), for which there is no place",
                  "the same format by another --quantizer, such as gptq or imatrix");
  }
}

void check(const ExportJob& job) {
  refuse_lost_inputs(job, kName);
  for (const ExportedWeight& weight : job.weights) {
    if (weight.inputs) {
      throw Error("tensor " + weight.tensor,
                  fmt::format("its inputs are quantized to {}, which GGUF cannot say (llama.cpp "
                              "chooses how it quantizes inputs); the nearest: --weights-only",
                              weight.inputs->spelling()));
    }
    check_weight(weight);
  }
  gguf_tensors(job, gguf_metadata(job.model), false);
}

bool is_block_type(const GgufTensorJob& tensor) { return !tensor.planned.type->dtype; }

/// The type of most weights in matrices.
const GgufType& main_type(const std::vector<GgufTensorJob>& tensors) {
  std::map<const GgufType*, int64_t> weights;
  for (const GgufTensorJob& tensor : tensors) {
    if (tensor.planned.shape.size() < 2) continue;
    const bool table = tensor.planned.name.find("blk.") == std::string::npos;
    weights[tensor.planned.type] += table ? 0 : element_count(tensor.planned.shape);
  }
  return *std::ranges::max_element(weights, {}, [](const auto& one) { return one.second; })->first;
}

void add_general(const std::vector<GgufTensorJob>& tensors, const std::string& out,
                 GgufKeys& keys) {
  if (!keys.has("general.name")) {
    keys.text("general.name", std::filesystem::path(out).stem().string());
  }
  if (!keys.has("general.size_label")) {
    int64_t weights = 0;
    for (const GgufTensorJob& tensor : tensors) weights += element_count(tensor.planned.shape);
    keys.text("general.size_label", size_label(weights));
  }
  keys.u32("general.file_type", gguf_file_type(main_type(tensors)));
  if (std::ranges::any_of(tensors, is_block_type)) {
    keys.u32("general.quantization_version", kQuantizationVersion);
  }
}

/// What people should know of the types.
void add_notes(const std::vector<GgufTensorJob>& tensors, ExportResult& result) {
  std::map<std::string_view, int> types;
  int64_t bytes = 0, packed = 0;
  int repeated = 0;
  for (const GgufTensorJob& tensor : tensors) {
    ++types[tensor.planned.type->name];
    if (tensor.encoding == nullptr) continue;
    const PackedSpec& spec = tensor.weight->entry.spec;
    const Granularity& granularity = spec.format.granularity;
    const bool groups = granularity.kind == Granularity::Kind::kGroup;
    if (groups && granularity.size <= tensor.planned.type->elements) continue;
    ++repeated;
    bytes += static_cast<int64_t>(tensor.planned.bytes());
    packed += tensor.stored->bytes;
  }
  std::string list;
  for (const auto& [type, count] : types) {
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", count, type);
  }
  result.notes.push_back(fmt::format("Tensors by type: {}.", list));
  if (repeated > 0) {
    result.notes.push_back(fmt::format(
        "Blocks of GGUF have scales of their own: those of {} tensors, shared by more weights, are "
        "repeated, and they take {} bytes instead of {} packed.",
        repeated, bytes, packed));
  }
}

void count_weight(const GgufTensorJob& tensor, ExportResult& result) {
  if (tensor.weight == nullptr) return;
  ++result.weights;
  if (!tensor.weight->entry.spec.pattern) return;
  ++result.pruned;
  result.pruned_bytes += static_cast<int64_t>(tensor.planned.bytes());
  result.pruned_source_bytes += tensor.stored->bytes;
}

/// Pruned weights that are not zero in the file.
void add_lost_zeros(const std::vector<GgufTensorJob>& tensors, ExportResult& result) {
  std::map<std::string_view, int> types;
  for (const GgufTensorJob& tensor : tensors) {
    if (tensor.encoding == nullptr || tensor.encoding->keeps_zeros) continue;
    if (tensor.weight->entry.spec.pattern) ++types[tensor.encoding->type->name];
  }
  for (const auto& [type, count] : types) {
    result.notes.push_back(fmt::format(
        "{} has no exact zero: in {} pruned tensors the value nearest to zero stands in its place, "
        "so that the file is not quite the model that was measured. Q3_K, Q6_K and types without a "
        "minimum keep zeros.",
        type, count));
  }
}

ExportResult write(const ExportJob& job, const std::string& out, Context& context) {
  ExportResult result;
  GgufMetadata metadata = gguf_metadata(job.model);
  const std::vector<GgufTensorJob> tensors = gguf_tensors(job, metadata, true);
  add_general(tensors, out, metadata.keys);
  std::vector<GgufPlannedTensor> plan;
  for (const GgufTensorJob& tensor : tensors) plan.push_back(tensor.planned);
  AtomicFile file(out, job.options.overwrite);
  GgufWriter writer(file.out(), metadata.keys, std::move(plan));
  GgufTensorWriter data(job, metadata, writer, context);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (context.cancelled()) throw Error(out, "stopped; nothing was written");
    data.write(tensors[i]);
    count_weight(tensors[i], result);
    context.progress(
        {"export", static_cast<int64_t>(i) + 1, static_cast<int64_t>(tensors.size()), "tensors"});
  }
  writer.finish();
  file.commit();
  result.written_bytes = static_cast<int64_t>(writer.total_bytes());
  add_notes(tensors, result);
  add_lost_zeros(tensors, result);
  if (data.rounded() > 0) {
    result.notes.push_back(
        fmt::format("{} tensors hold values that {} does not have: they were rounded to nearest.",
                    data.rounded(), dtype_name(*job.options.dtype)));
  }
  std::ranges::move(metadata.notes, std::back_inserter(result.notes));
  return result;
}

std::span<const ExportRow> rows() {
  static const std::vector<ExportRow> kRows = [] {
    std::vector<ExportRow> made = {{"F32, F16, BF16", "fp32, fp16, bf16, --dtype", "-", "-"}};
    for (const GgufEncoding& encoding : all_gguf_encodings()) {
      made.push_back({encoding.type->name, encoding.weights, encoding.scales, "-"});
    }
    return made;
  }();
  return kRows;
}

}  // namespace

ExportTarget gguf_target() {
  return {.name = "gguf",
          .summary = "one file for llama.cpp and what is built on it",
          .models = "llama, mistral, qwen2, qwen3, gpt2",
          .needs_codes = false,
          .rows = rows,
          .check = check,
          .write = write,
          .extension = ".gguf"};
}

}  // namespace scant
