#include "compress/export/coded_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "checkpoint/folder_writer.h"
#include "compress/dense_folder.h"
#include "compress/export/dense_target.h"
#include "compress/tensor_output.h"
#include "core/error.h"
#include "models/structure.h"

namespace scant {
namespace {

using Weights = std::map<std::string, const ExportedWeight*, std::less<>>;

std::string module_of(const std::string& tensor) {
  constexpr std::string_view kSuffix = ".weight";
  return tensor.ends_with(kSuffix) ? tensor.substr(0, tensor.size() - kSuffix.size()) : "";
}

/// Those that become codes; what was only pruned stays a plain tensor.
Weights coded_weights(const ExportJob& job) {
  Weights weights;
  for (const ExportedWeight& weight : job.weights) {
    if (!weight.entry.spec.format.is_plain()) weights.emplace(weight.tensor, &weight);
  }
  return weights;
}

std::vector<PlannedShard> plan_parts(const Checkpoint& source, const Weights& weights,
                                     const CodedLayout& layout) {
  std::vector<PlannedShard> plan = plan_like(source);
  for (PlannedShard& shard : plan) {
    std::vector<PlannedTensor> tensors;
    for (PlannedTensor& tensor : shard.tensors) {
      const auto weight = weights.find(tensor.name);
      if (weight == weights.end()) {
        tensors.push_back(std::move(tensor));
        continue;
      }
      for (CodedPart& part : layout.parts(*weight->second)) {
        tensors.push_back({std::move(part.name), std::move(part.shape)});
      }
    }
    shard.tensors = std::move(tensors);
  }
  return plan;
}

int64_t write_parts(const ExportedWeight& weight, const PackedMatrix& matrix,
                    const CodedLayout& layout, FolderWriter& writer) {
  const std::vector<CodedPart> parts = layout.parts(weight);
  const auto bytes = layout.bytes(weight, matrix);
  int64_t total = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    writer.begin_tensor(parts[i].name, parts[i].dtype);
    writer.append(bytes[i]);
    total += static_cast<int64_t>(bytes[i].size());
  }
  return total;
}

/// A weight that is only pruned: its values. The bytes.
int64_t write_values(const ExportedWeight& weight, const PackedMatrix& matrix, FolderWriter& writer,
                     Context& context) {
  const Matrix values =
      stored_orientation(weight.entry.transposed, unpacked_values(matrix, context));
  const DType dtype = write_simulated(writer, weight.tensor, values.values(), weight.entry.dtype);
  return values.size() * static_cast<int64_t>(dtype_size(dtype));
}

}  // namespace

ExportResult write_coded_folder(const ExportJob& job, const CodedLayout& layout,
                                const std::string& out, Context& context) {
  ExportResult result;
  const Checkpoint& checkpoint = job.model.checkpoint();
  const Weights coded = coded_weights(job);
  AtomicFolder folder(out, job.options.overwrite);
  FolderWriter writer(folder, plan_parts(checkpoint, coded, layout));
  const auto total = static_cast<int64_t>(checkpoint.tensors().size());
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    if (context.cancelled()) throw Error(out, "stopped; nothing was written");
    const auto found = std::ranges::find(job.weights, tensor.name, &ExportedWeight::tensor);
    if (found == job.weights.end()) {
      copy_tensor(checkpoint, tensor, writer);
    } else {
      const auto matrix = checkpoint.packed(tensor);
      const int64_t bytes = coded.contains(tensor.name)
                                ? write_parts(*found, *matrix, layout, writer)
                                : write_values(*found, *matrix, writer, context);
      ++result.weights;
      if (found->entry.spec.pattern) {
        ++result.pruned;
        result.pruned_bytes += bytes;
        result.pruned_source_bytes += tensor.bytes;
      }
    }
    context.progress({"export", static_cast<int64_t>(tensor.index) + 1, total, "tensors"});
  }
  writer.close();
  result.written_bytes = static_cast<int64_t>(writer.total_bytes());
  write_companions(checkpoint, folder, std::nullopt, layout.config());
  folder.commit();
  return result;
}

void refuse_weight(const ExportedWeight& weight, std::string_view target,
                   const std::string& problem, const std::string& nearest) {
  throw Error("tensor " + weight.tensor,
              fmt::format("{}; the nearest that {} can hold: {}", problem, target, nearest));
}

void check_coded(const ExportJob& job, std::string_view target) {
  if (job.options.dtype) {
    throw Error("--dtype",
                fmt::format("has a meaning only with --to dense, gguf or onnx; {} keeps plain "
                            "tensors as they are",
                            target));
  }
  refuse_lost_inputs(job, target);
  if (coded_weights(job).empty() && !job.weights.empty()) {
    const ExportedWeight& first = job.weights.front();
    refuse_weight(
        first, target,
        fmt::format("is {} without codes, as all others are", first.entry.spec.format.spelling()),
        "int8");
  }
  for (const ExportedWeight& weight : job.weights) {
    const PackedSpec& spec = weight.entry.spec;
    if (spec.format.is_plain()) continue;
    if (!weight.linear) {
      refuse_weight(weight, target,
                    fmt::format("is {} of a table, of which readers take linear layers only",
                                spec.format.spelling()),
                    "the table as it was, without --head and --embeddings for a tied one");
    }
    if (spec.column_factors) {
      refuse_weight(weight, target, "has a factor per column (awq), for which there is no place",
                    "the same format by another --quantizer, such as gptq or imatrix");
    }
    if (spec.pattern && !spec.format.rules().has_zero) {
      refuse_weight(weight, target,
                    fmt::format("is pruned, but {} has no code for zero and no reader takes a mask",
                                spec.format.element_name()),
                    "int2");
    }
  }
}

void require_whole_groups(const ExportedWeight& weight, std::string_view target) {
  const PackedSpec& spec = weight.entry.spec;
  const Granularity& granularity = spec.format.granularity;
  if (granularity.kind != Granularity::Kind::kGroup || spec.cols % granularity.size == 0) return;
  NumberFormat nearest = spec.format;
  nearest.granularity = {Granularity::Kind::kRow, 0};
  for (int64_t size = granularity.size / 16 * 16; size > 0; size -= 16) {
    if (spec.cols % size != 0) continue;
    nearest.granularity = {Granularity::Kind::kGroup, size};
    break;
  }
  refuse_weight(weight, target,
                fmt::format("is {}, but its {} inputs are no whole number of groups",
                            spec.format.spelling(), spec.cols),
                nearest.spelling());
}

std::vector<std::string> plain_modules(const ExportJob& job) {
  const ModelStructure structure = job.model.structure();
  std::vector<std::string> modules;
  for (const StoredTensor& tensor : job.model.checkpoint().tensors()) {
    const std::string module = module_of(tensor.name);
    if (module.empty() || tensor.shape.size() != 2) continue;
    if (std::ranges::find(structure.embeddings, tensor.name) != structure.embeddings.end()) {
      continue;
    }
    const auto found = std::ranges::find(job.weights, tensor.name, &ExportedWeight::tensor);
    if (found == job.weights.end() || found->entry.spec.format.is_plain()) {
      modules.push_back(module);
    }
  }
  // Readers make a module of a tied head, too.
  const std::string head = module_of(structure.untied_head);
  if (job.model.facts().tied_head) modules.push_back(head);
  return modules;
}

void read_codes(const PackedMatrix& matrix, int64_t row, std::span<uint32_t> codes) {
  std::vector<uint8_t> keep(codes.size());
  matrix.read_row(row, codes, keep);
  if (!matrix.spec().pattern) return;
  const Granularity& granularity = matrix.spec().format.granularity;
  const int64_t width =
      granularity.kind == Granularity::Kind::kGroup ? granularity.size : matrix.cols();
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (size_t c = 0; c < codes.size(); ++c) {
            if (keep[c] != 0) continue;
            const int64_t block = static_cast<int64_t>(c) / width;
            codes[c] = encode(element, 0.0f, matrix.stored_scale(row, block));
          }
        }
      },
      matrix.spec().format.element);
}

int64_t scales_per_row(const PackedSpec& spec) {
  const Granularity& granularity = spec.format.granularity;
  if (granularity.kind != Granularity::Kind::kGroup) return 1;
  return (spec.cols + granularity.size - 1) / granularity.size;
}

}  // namespace scant
