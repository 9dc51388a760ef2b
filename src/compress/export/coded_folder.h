#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "compress/export/export_target.h"

namespace scant {

/// One tensor of those that hold a weight in another tool's layout.
struct CodedPart {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
};

/// How a target lays weights out in a Hugging Face folder.
class CodedLayout {
 public:
  virtual ~CodedLayout() = default;
  /// The tensors that hold the weight, in the order of the file.
  virtual std::vector<CodedPart> parts(const ExportedWeight& weight) const = 0;
  /// Their bytes, in that order. Throws Error naming a scale that the layout cannot hold.
  virtual std::vector<std::vector<std::byte>> bytes(const ExportedWeight& weight,
                                                    const PackedMatrix& matrix) const = 0;
  /// The "quantization_config" of config.json.
  virtual nlohmann::ordered_json config() const = 0;
};

/// Writes the folder: coded weights as their parts, weights that were only pruned as plain values,
/// other tensors as they are. Memory: one weight.
ExportResult write_coded_folder(const ExportJob& job, const CodedLayout& layout,
                                const std::string& out, Context& context);

/// Throws Error naming the weight for what no coded folder can hold: weights of anything but linear
/// layers, column factors, elements without zero that were pruned, inputs that would be lost
/// (dense_target.h). `target` is its name in sentences.
void check_coded(const ExportJob& job, std::string_view target);

/// "the nearest that TARGET can hold: SPELLING"; throws it as Error of the tensor.
[[noreturn]] void refuse_weight(const ExportedWeight& weight, std::string_view target,
                                const std::string& problem, const std::string& nearest);

/// Throws Error unless the groups of the weight's format fill its rows; names the largest group
/// that does.
void require_whole_groups(const ExportedWeight& weight, std::string_view target);

/// Linear modules of the model that are not among the exported weights, "lm_head" included.
std::vector<std::string> plain_modules(const ExportJob& job);

/// The codes of one row; pruned weights have the code of zero.
void read_codes(const PackedMatrix& matrix, int64_t row, std::span<uint32_t> codes);

/// Scales in a row: 1 for :tensor and :channel.
int64_t scales_per_row(const PackedSpec& spec);

}  // namespace scant
