#include "compress/export/dense_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "checkpoint/folder_writer.h"
#include "compress/dense_folder.h"
#include "compress/tensor_output.h"
#include "core/error.h"

namespace scant {
namespace {

constexpr int64_t kPieceValues = int64_t{1} << 20;

/// Tensors in the one type that was asked for, and what rounding them changed.
class RoundingWriter {
 public:
  RoundingWriter(FolderWriter& writer, DType dtype) : writer_(writer), dtype_(dtype) {}

  void begin(const std::string& tensor) {
    tensor_ = tensor;
    inexact_ = false;
    writer_.begin_tensor(tensor, dtype_);
  }
  void append(std::span<const float> values) {
    const bool before = inexact_;
    writer_.append(round_values(values, dtype_, tensor_, inexact_));
    rounded_ += inexact_ && !before ? 1 : 0;
  }
  int64_t rounded() const { return rounded_; }

 private:
  FolderWriter& writer_;
  DType dtype_;
  std::string tensor_;
  bool inexact_ = false;
  int64_t rounded_ = 0;  // tensors
};

void write_rounded(const Checkpoint& checkpoint, const StoredTensor& tensor,
                   RoundingWriter& writer) {
  writer.begin(tensor.name);
  const int64_t row = std::max<int64_t>(tensor.row_size(), 1);
  const int64_t step = std::max<int64_t>(1, kPieceValues / row);
  std::vector<float> values;
  for (int64_t begin = 0; begin < tensor.rows(); begin += step) {
    const int64_t count = std::min(step, tensor.rows() - begin);
    values.resize(static_cast<size_t>(count * row));
    checkpoint.read_rows(tensor, begin, count, values);
    writer.append(values);
  }
}

/// Bit for bit: the type of the source where that is exact, else F32. Whether it is F32 now.
bool write_exact(const Checkpoint& checkpoint, const StoredTensor& tensor, FolderWriter& writer,
                 Context& context) {
  const PackedEntry* entry = checkpoint.packed_entry_of(tensor);
  if (entry == nullptr) {
    return copy_tensor(checkpoint, tensor, writer) == DType::kF32 && tensor.dtype != DType::kF32;
  }
  const Matrix values =
      stored_orientation(entry->transposed, unpacked_values(*checkpoint.packed(tensor), context));
  return write_simulated(writer, tensor.name, values.values(), entry->dtype) != entry->dtype;
}

void check(const ExportJob& job) {
  refuse_lost_inputs(job, "a dense model");
  for (const ExportedWeight& weight : job.weights) {
    if (!weight.inputs) continue;
    throw Error("tensor " + weight.tensor,
                fmt::format("its inputs are quantized to {}, which a dense model cannot say; the "
                            "nearest: --weights-only, or `scant unpack`, whose folder scant runs",
                            weight.inputs->spelling()));
  }
}

ExportResult write(const ExportJob& job, const std::string& out, Context& context) {
  ExportResult result;
  const Checkpoint& checkpoint = job.model.checkpoint();
  AtomicFolder folder(out, job.options.overwrite);
  FolderWriter writer(folder, plan_like(checkpoint));
  std::optional<DType> dtype = job.options.dtype;
  std::optional<RoundingWriter> rounding;
  if (dtype) rounding.emplace(writer, *dtype);
  const auto total = static_cast<int64_t>(checkpoint.tensors().size());
  bool widened = false;
  for (const StoredTensor& tensor : checkpoint.tensors()) {
    if (context.cancelled()) throw Error(out, "stopped; nothing was written");
    if (rounding) {
      write_rounded(checkpoint, tensor, *rounding);
    } else {
      widened |= write_exact(checkpoint, tensor, writer, context);
    }
    context.progress({"export", static_cast<int64_t>(tensor.index) + 1, total, "tensors"});
  }
  writer.close();
  result.written_bytes = static_cast<int64_t>(writer.total_bytes());
  if (!dtype) dtype = widened_dtype(widened);
  write_companions(checkpoint, folder, dtype, nullptr);
  folder.commit();
  if (rounding && rounding->rounded() > 0) {
    result.notes.push_back(
        fmt::format("{} tensors hold values that {} does not have: they were rounded to nearest.",
                    rounding->rounded(), dtype_name(*dtype)));
  } else {
    result.notes.emplace_back(widened ? "Every value is exact: F32 where the source's type is not."
                                      : "Every value is exact.");
  }
  return result;
}

std::span<const ExportRow> rows() {
  static constexpr std::array kRows = {
      ExportRow{"F32, F16, BF16", "any, as its values", "-", "-"},
  };
  return kRows;
}

}  // namespace

ExportTarget dense_target() {
  return {.name = "dense",
          .summary = "values in plain safetensors, for everything that reads them",
          .models = "all that scant loads",
          .needs_codes = false,
          .rows = rows,
          .check = check,
          .write = write,
          .column_order = true};
}

std::vector<std::byte> round_values(std::span<const float> values, DType dtype,
                                    const std::string& tensor, bool& inexact) {
  std::vector<std::byte> bytes(values.size() * dtype_size(dtype));
  narrow(values, dtype, bytes.data());
  std::vector<float> back(values.size());
  widen(bytes.data(), dtype, back);
  for (size_t i = 0; i < values.size(); ++i) {
    if (back[i] == values[i] || std::isnan(values[i])) continue;
    if (std::isinf(back[i])) {
      throw Error("tensor " + tensor,
                  fmt::format("holds {}, which {} cannot; expected --dtype bf16 or f32", values[i],
                              dtype_name(dtype)));
    }
    inexact = true;
  }
  return bytes;
}

void refuse_lost_inputs(const ExportJob& job, std::string_view reader) {
  for (const LinearInfo& info : job.model.linears()) {
    if (info.input_rotation) {
      throw Error("tensor " + info.tensor,
                  fmt::format("its inputs are rotated, which {} does not do; the nearest: "
                              "--rotate residual, which is folded into the weights",
                              reader));
    }
    const auto& inputs = job.model.activations();
    if (job.options.weights_only || !inputs.contains(info.name)) continue;
    const bool exported = std::ranges::any_of(
        job.weights, [&](const ExportedWeight& weight) { return weight.module == info.name; });
    if (exported) continue;
    throw Error("tensor " + info.tensor,
                fmt::format("is dense, but its inputs are quantized to {}, which {} does not do "
                            "without quantized weights; the nearest: --weights-only",
                            inputs.find(info.name)->second.format.spelling(), reader));
  }
}

}  // namespace scant
