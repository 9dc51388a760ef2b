#include <fmt/format.h>

#include <array>

#include "compress/export/compressed_tensors_target.h"
#include "compress/export/dense_target.h"
#include "compress/export/export_target.h"
#include "compress/export/gguf_target.h"
#include "compress/export/gptq_target.h"
#include "compress/export/onnx_target.h"
#include "core/error.h"

namespace scant {

std::span<const ExportTarget> all_export_targets() {
  static const std::array kTargets = {
      dense_target(), compressed_tensors_target(), gptq_target(), gptq_v2_target(), gguf_target(),
      onnx_target(),
  };
  return kTargets;
}

const ExportTarget& find_export_target(std::string_view name) {
  std::string known;
  for (const ExportTarget& target : all_export_targets()) {
    if (target.name == name) return target;
    known += (known.empty() ? "" : ", ") + std::string(target.name);
  }
  throw Error("--to", fmt::format("there is no target \"{}\"; expected one of {}", name, known));
}

}  // namespace scant
