#include <array>

#include "checkpoint/imports/awq.h"
#include "checkpoint/imports/bitsandbytes.h"
#include "checkpoint/imports/compressed_tensors.h"
#include "checkpoint/imports/float8.h"
#include "checkpoint/imports/gptq.h"
#include "checkpoint/imports/importer.h"

namespace scant {

std::span<const Importer> all_importers() {
  static constexpr std::array kImporters = {
      Importer{"compressed-tensors", "compressed-tensors", find_compressed_tensors},
      Importer{"gptq", "GPTQ", find_gptq},
      Importer{"awq", "AWQ", find_awq},
      Importer{"fp8", "FP8", find_float8},
      Importer{"fbgemm_fp8", "FP8", find_float8},
      Importer{"bitsandbytes", "bitsandbytes", find_bitsandbytes},
  };
  return kImporters;
}

const Importer* importer_of(const nlohmann::json& config) {
  if (!config.is_object()) return nullptr;
  const auto found = config.find("quantization_config");
  if (found == config.end() || !found->is_object()) return nullptr;
  const nlohmann::json method = found->value("quant_method", nlohmann::json());
  for (const Importer& importer : all_importers()) {
    if (method == importer.method) return &importer;
  }
  return nullptr;
}

}  // namespace scant
