#include "checkpoint/imports/float8.h"

#include <fmt/format.h>

#include "checkpoint/imports/block_scaled.h"
#include "checkpoint/imports/gptq_parts.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {

using nlohmann::json;

struct Float8Config {
  int64_t block_rows = 0, block_cols = 0;  ///< 0: no blocks
  bool static_inputs = false;

  Float8Config(const json& config, const std::string& where) {
    const json block = config.value("weight_block_size", json());
    if (!block.is_null()) {
      constexpr int64_t kLargest = int64_t{1} << 30;
      const auto extent = [&](size_t i) {
        const bool known = block.is_array() && block.size() == 2 && block[i].is_number_integer();
        const int64_t size = known ? block[i].get<int64_t>() : 0;
        if (size < 1 || size > kLargest) {
          throw Error(where, "weight_block_size is not a list of two sizes");
        }
        return size;
      };
      block_rows = extent(0);
      block_cols = extent(1);
    }
    const json scheme = config.value("activation_scheme", json("dynamic"));
    if (scheme != "dynamic" && scheme != "static") {
      throw Error(where, fmt::format("activation_scheme is {}; expected dynamic or static",
                                     scheme.dump().substr(0, 40)));
    }
    static_inputs = scheme == "static";
  }
};

class Float8Weight final : public ImportedCodes {
 public:
  Float8Weight(PackedEntry entry, ImportedPart codes, ImportedPart scales)
      : ImportedCodes(std::move(entry)), codes_(std::move(codes)), scales_(std::move(scales)) {}

 private:
  void read_codes(int64_t row, std::span<uint32_t> codes) const override {
    const std::byte* begin = codes_.bytes.data() + row * spec().cols;
    for (size_t c = 0; c < codes.size(); ++c) codes[c] = std::to_integer<uint32_t>(begin[c]);
  }
  BlockScale scale(int64_t row, int64_t) const override {
    const bool one = spec().format.granularity.kind == Granularity::Kind::kTensor;
    return {read_scale(scales_.bytes, one ? 0 : row, spec().format.scale_storage), 0};
  }

  ImportedPart codes_, scales_;
};

/// "activations" of a module's inputs.
json inputs_of(const Checkpoint& folder, const std::string& module, const Float8Config& config,
               std::vector<std::string>& parts) {
  if (!config.static_inputs) {
    if (config.block_cols == 0) return "fp8_e4m3";
    return fmt::format("fp8_e4m3:g{}:scale=fp32", config.block_cols);
  }
  for (const char* suffix : {".activation_scale", ".input_scale"}) {
    const StoredTensor* stored = folder.find(module + suffix);
    if (stored == nullptr) continue;
    const ImportedPart scale = imported_part(
        folder, stored->name, {DType::kF32, DType::kBF16, DType::kF16}, stored->shape.size());
    parts.push_back(scale.name);
    if (element_count(scale.shape) != 1) break;
    return {{"format", "fp8_e4m3:tensor"},
            {"method", "static"},
            {"scale", read_scale(scale.bytes, 0, scale_storage_of(scale))}};
  }
  throw Error(folder.path(), fmt::format("module {} has static inputs but no single "
                                         "activation_scale",
                                         quoted_name(module)));
}

FoundWeight read_weight(const Checkpoint& folder, const std::string& module,
                        const Float8Config& config) {
  const ImportedPart codes = imported_part(folder, module + ".weight", {DType::kF8E4M3}, 2);
  const bool inverse = folder.find(module + ".weight_scale_inv") != nullptr;
  const std::string scale_name = module + (inverse ? ".weight_scale_inv" : ".weight_scale");
  const size_t rank = folder.require(scale_name).shape.size();
  const ImportedPart scales =
      imported_part(folder, scale_name, {DType::kF32, DType::kBF16, DType::kF16}, rank);
  FoundWeight found{.name = codes.name,
                    .outputs = codes.shape[0],
                    .inputs = codes.shape[1],
                    .parts = {codes.name, scales.name}};
  const int64_t count = element_count(scales.shape);
  const bool by_row = count == found.outputs && (rank == 1 || scales.shape[0] == found.outputs);
  if (count != 1 && !by_row) {
    if (rank != 2 || config.block_rows == 0) {
      throw Error(where_is(folder, folder.require(scales.name)),
                  fmt::format("has the shape {}; expected 1 or {} scales", shape_text(scales.shape),
                              found.outputs));
    }
    found.type = fmt::format("fp8_e4m3 in blocks of {} x {}", config.block_rows, config.block_cols);
    found.weight = std::make_shared<BlockScaledFloat8>(folder, codes, scales, config.block_rows,
                                                       config.block_cols);
    return found;
  }
  const Granularity granularity{count == 1 ? Granularity::Kind::kTensor : Granularity::Kind::kRow,
                                0};
  const PackedEntry entry =
      group_scaled_entry(folder, "fp8_e4m3", granularity, scales, found.outputs, found.inputs);
  found.type = entry.spec.format.spelling();
  found.weight = std::make_shared<Float8Weight>(entry, codes, scales);
  return found;
}

}  // namespace

FoundModel find_float8(const Checkpoint& folder, const json& config) {
  const Float8Config read(config, folder.path() + "/config.json: quantization_config");
  FoundModel model;
  for (const std::string& module : modules_with(folder, ".weight")) {
    const StoredTensor& stored = folder.require(module + ".weight");
    if (stored.dtype != DType::kF8E4M3) continue;
    FoundWeight found = read_weight(folder, module, read);
    model.activations[module] = inputs_of(folder, module, read, found.parts);
    model.weights.push_back(std::move(found));
  }
  return model;
}

}  // namespace scant
