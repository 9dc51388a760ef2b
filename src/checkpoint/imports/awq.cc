#include "checkpoint/imports/awq.h"

#include <fmt/format.h>

#include <array>

#include "checkpoint/imports/gptq_parts.h"
#include "core/error.h"

namespace scant {
namespace {

using nlohmann::json;

/// Outputs lie eight to a word in the order 0 2 4 6 1 3 5 7.
class AwqWeight final : public ImportedCodes {
 public:
  AwqWeight(PackedEntry entry, ImportedPart codes, ImportedPart scales, ImportedPart zero_points)
      : ImportedCodes(std::move(entry)),
        codes_(std::move(codes)),
        scales_(std::move(scales)),
        zero_points_(std::move(zero_points)) {}

 private:
  static uint32_t nibble(const ImportedPart& part, int64_t row, int64_t output) {
    constexpr std::array<int, 8> kPlaces = {0, 4, 1, 5, 2, 6, 3, 7};
    const int place = kPlaces[static_cast<size_t>(output % 8)];
    return part_word(part, row * part.shape[1] + output / 8) >> (4 * place) & 15u;
  }
  void read_codes(int64_t row, std::span<uint32_t> codes) const override {
    for (size_t c = 0; c < codes.size(); ++c) {
      codes[c] = nibble(codes_, static_cast<int64_t>(c), row);
    }
  }
  BlockScale scale(int64_t row, int64_t group) const override {
    return {read_scale(scales_.bytes, group * spec().rows + row, spec().format.scale_storage),
            static_cast<int32_t>(nibble(zero_points_, group, row))};
  }

  ImportedPart codes_, scales_, zero_points_;
};

FoundWeight read_awq(const Checkpoint& folder, const std::string& module, int64_t group) {
  const auto name = [&](const char* suffix) { return module + "." + suffix; };
  const ImportedPart codes = imported_part(folder, name("qweight"), {DType::kI32}, 2);
  const ImportedPart zeros = imported_part(folder, name("qzeros"), {DType::kI32}, 2);
  const ImportedPart scales =
      imported_part(folder, name("scales"), {DType::kF16, DType::kBF16, DType::kF32}, 2);
  FoundWeight found{.name = name("weight"), .outputs = scales.shape[1], .inputs = codes.shape[0]};
  found.parts = {codes.name, zeros.name, scales.name};
  if (found.inputs < 1 || found.outputs < 1 || found.outputs % 8 != 0) {
    throw Error(
        where_is(folder, folder.require(codes.name)),
        fmt::format("has the shape {}; expected outputs in words of 8", shape_text(codes.shape)));
  }
  require_shape(folder, codes, {found.inputs, found.outputs / 8});
  require_shape(folder, zeros, {scales.shape[0], found.outputs / 8});
  const Granularity granularity =
      granularity_of_groups(folder, module, found.inputs, scales.shape[0], group);
  const PackedEntry entry =
      group_scaled_entry(folder, "int4:asym", granularity, scales, found.outputs, found.inputs);
  found.type = entry.spec.format.spelling();
  found.weight = std::make_shared<AwqWeight>(entry, codes, scales, zeros);
  return found;
}

}  // namespace

FoundModel find_awq(const Checkpoint& folder, const json& config) {
  const std::string where = folder.path() + "/config.json: quantization_config";
  const GptqConfig read(config, where);
  json version = config.value("version", json("gemm"));
  if (version.is_string() && version.get<std::string>() == "GEMM") version = "gemm";
  if (version != "gemm" || read.bits != 4) {
    throw Error(where, fmt::format("is version {} of {} bits; expected gemm of 4 bits",
                                   version.dump().substr(0, 40), read.bits));
  }
  FoundModel model;
  for (const std::string& module : modules_with(folder, ".qweight")) {
    model.weights.push_back(read_awq(folder, module, read.group));
  }
  return model;
}

}  // namespace scant
