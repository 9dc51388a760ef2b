#include "compress/export/onnx_target.h"

#include <array>
#include <nlohmann/json.hpp>

#include "compress/dense_folder.h"
#include "compress/export/coded_folder.h"
#include "compress/export/onnx/onnx_decoder.h"
#include "compress/export/onnx/onnx_storage.h"
#include "core/error.h"

namespace scant {
namespace {

void check(const ExportJob& job) {
  for (const ExportedWeight& weight : job.weights) {
    if (!weight.entry.spec.format.is_plain()) onnx_storage(weight);
    if (weight.entry.spec.column_order && !weight.linear) {
      refuse_weight(weight, "onnx", "is a table with groups of reordered columns",
                    "its values, as `scant export --to dense` writes them");
    }
    if (weight.inputs) {
      check_onnx_inputs(weight.tensor, *weight.inputs, weight.input_method, weight.entry.spec.cols);
    }
  }
  for (const LinearInfo& info : job.model.linears()) {
    if (info.input_rotation) {
      throw Error("tensor " + info.tensor,
                  "its inputs are rotated, for which onnx has no operator; the nearest: --rotate "
                  "residual, which is folded into the weights");
    }
    const auto inputs = job.model.activations().find(info.name);
    if (job.options.weights_only || inputs == job.model.activations().end()) continue;
    check_onnx_inputs(info.tensor, inputs->second.format, inputs->second.method(), info.inputs);
  }
}

ExportResult write(const ExportJob& job, const std::string& out, Context& context) {
  AtomicFolder folder(out, job.options.overwrite);
  ExportResult result = write_onnx_decoder(job, folder, context);
  write_companions(job.model.checkpoint(), folder, job.options.dtype, nullptr);
  folder.commit();
  return result;
}

std::span<const ExportRow> rows() {
  static constexpr std::array kRows = {
      ExportRow{"MatMulNBits, GatherBlockQuantized",
                "int2 to int4, ternary, binary; :asym, :narrow",
                "tensor, channel, g16N, act-order; any", "int2 to int8, fp8: dynamic or static"},
      ExportRow{"DequantizeLinear", "int2 to int8, hbfp, fp8_e4m3, fp8_e5m2; :asym, :narrow",
                "tensor, channel, gN, act-order; any", "the same"},
      ExportRow{"float, float16, bfloat16", "plain", "-", "the same"},
  };
  return kRows;
}

}  // namespace

ExportTarget onnx_target() {
  return {.name = "onnx",
          .summary = "ONNX (opset 21) with a cache of keys and values, for onnxruntime",
          .models = "all that scant runs",
          .needs_codes = false,
          .rows = rows,
          .check = check,
          .write = write,
          .column_order = true};
}

}  // namespace scant
