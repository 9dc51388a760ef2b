#include <fmt/format.h>

#include "checkpoint/imports/compressed_tensors.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {

using nlohmann::json;

json compressed_tensors_inputs(const Checkpoint& folder, const std::string& module,
                               const CompressedTensorsArguments& inputs,
                               std::vector<std::string>& parts) {
  std::string element = fmt::format("int{}", inputs.bits);
  if (inputs.is_float) {
    const bool mx = inputs.group == 32;
    element = inputs.bits == 8   ? (mx ? "mxfp8_e4m3" : "fp8_e4m3")
              : inputs.bits == 6 ? "mxfp6_e2m3"
              : mx               ? "mxfp4"
                                 : "nvfp4";
  } else if (!inputs.symmetric) {
    element += ":asym";
  }
  const auto take = [&](const char* suffix) -> const StoredTensor* {
    const StoredTensor* found = folder.find(module + "." + suffix);
    if (found != nullptr) parts.push_back(found->name);
    return found;
  };
  const StoredTensor* scale = take("input_scale");
  const StoredTensor* zero = take("input_zero_point");
  const StoredTensor* global = take("input_global_scale");
  const bool own_groups = element.starts_with("mx") || element == "nvfp4";
  if (element == "nvfp4" && global != nullptr) {
    return {{"format", element},
            {"method", "static"},
            {"scale", global_scale_factor(folder, module + ".input_global_scale")}};
  }
  if (inputs.dynamic || own_groups) {
    if (own_groups) return element;
    if (inputs.strategy == "tensor") return element + ":tensor";
    if (inputs.strategy == "group") {
      return element + fmt::format(":g{}:scale=fp32", inputs.group);
    }
    return element;
  }
  if (scale == nullptr) {
    throw Error(folder.path(),
                fmt::format("module {} has static inputs but no input_scale", quoted_name(module)));
  }
  const ImportedPart values = imported_part(
      folder, scale->name, {DType::kF32, DType::kBF16, DType::kF16}, scale->shape.size());
  if (element_count(values.shape) != 1) {
    throw Error(where_is(folder, *scale), "holds more than one scale; expected one for all values");
  }
  json entry = {{"format", element + ":tensor"},
                {"method", "static"},
                {"scale", read_scale(values.bytes, 0, scale_storage_of(values))}};
  if (!inputs.symmetric) {
    const int half = 1 << (inputs.bits - 1);
    int stored = -half;
    if (zero != nullptr) {
      const ImportedPart point =
          imported_part(folder, zero->name, {DType::kI8}, zero->shape.size());
      if (!point.bytes.empty()) stored = std::to_integer<int8_t>(point.bytes[0]);
    }
    entry["zero_point"] = stored + half;
  }
  return entry;
}

}  // namespace scant
