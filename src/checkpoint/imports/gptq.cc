#include "checkpoint/imports/gptq.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "checkpoint/imports/gptq_parts.h"
#include "core/error.h"

namespace scant {
namespace {

using nlohmann::json;

/// Zero points of GPTQ: a string along the outputs of every group; v1 stores one less. It was
/// subtracted from whole words, so that a 0 borrows from the next number, and is added so; 3 bits,
/// which cross words, number by number.
struct GptqZeroPoints {
  ImportedPart part;
  int bits = 4;
  bool v2 = false;

  uint32_t at(int64_t group, int64_t output) const {
    const int64_t words = part.shape[1];
    const uint32_t mask = (1u << bits) - 1u;
    if (32 % bits == 0) {
      const int64_t bit = output * bits;
      const uint32_t ones = ~0u / mask;  // 1 in every number
      const uint32_t word = part_word(part, group * words + bit / 32) + (v2 ? 0 : ones);
      return word >> (bit % 32) & mask;
    }
    const WordString row{part.bytes.data() + 4 * group * words, 1, bits, false};
    return (row[output] + (v2 ? 0 : 1)) & mask;
  }
};

class GptqWeight final : public ImportedCodes {
 public:
  GptqWeight(PackedEntry entry, std::vector<int32_t> groups, ImportedPart codes,
             ImportedPart scales, GptqZeroPoints zero_points)
      : ImportedCodes(std::move(entry), std::move(groups)),
        codes_(std::move(codes)),
        scales_(std::move(scales)),
        zero_points_(std::move(zero_points)) {}

 private:
  void read_codes(int64_t row, std::span<uint32_t> codes) const override {
    const int bits = spec().format.code_bits();
    const WordString column{codes_.bytes.data() + 4 * row, spec().rows, bits, false};
    const bool asymmetric = spec().format.rules().zero_point;
    const uint32_t flip = asymmetric ? 0 : 1u << (bits - 1);
    for (size_t c = 0; c < codes.size(); ++c) codes[c] = column[static_cast<int64_t>(c)] ^ flip;
  }
  BlockScale scale(int64_t row, int64_t group) const override {
    BlockScale result{
        read_scale(scales_.bytes, group * spec().rows + row, spec().format.scale_storage), 0};
    if (spec().format.rules().zero_point) {
      result.zero_point = static_cast<int32_t>(zero_points_.at(group, row));
    }
    return result;
  }

  ImportedPart codes_, scales_;
  GptqZeroPoints zero_points_;
};

bool all_zero_points_are(const GptqZeroPoints& zero_points, int64_t outputs, uint32_t value) {
  for (int64_t g = 0; g < zero_points.part.shape[0]; ++g) {
    for (int64_t o = 0; o < outputs; ++o) {
      if (zero_points.at(g, o) != value) return false;
    }
  }
  return true;
}

/// From g_idx; empty where groups follow each other.
std::vector<int32_t> permuted_groups(const Checkpoint& folder, const ImportedPart& indices,
                                     const Granularity& granularity, int64_t count) {
  std::vector<int32_t> groups(static_cast<size_t>(indices.shape[0]));
  std::memcpy(groups.data(), indices.bytes.data(), indices.bytes.size());
  bool in_order = true;
  for (size_t c = 0; c < groups.size(); ++c) {
    const auto column = static_cast<int64_t>(c);
    const int64_t expected =
        granularity.kind == Granularity::Kind::kGroup ? column / granularity.size : 0;
    in_order = in_order && groups[c] == expected;
    if (groups[c] < 0 || groups[c] >= count) {
      throw Error(where_is(folder, folder.require(indices.name)),
                  fmt::format("names group {} at column {}; there are {}", groups[c], c, count));
    }
  }
  if (in_order) groups.clear();
  return groups;
}

FoundWeight read_gptq(const Checkpoint& folder, const std::string& module,
                      const GptqConfig& config) {
  const auto name = [&](const char* suffix) { return module + "." + suffix; };
  const ImportedPart codes = imported_part(folder, name("qweight"), {DType::kI32}, 2);
  const ImportedPart zeros = imported_part(folder, name("qzeros"), {DType::kI32}, 2);
  const ImportedPart scales =
      imported_part(folder, name("scales"), {DType::kF16, DType::kBF16, DType::kF32}, 2);
  const bool indexed = folder.find(name("g_idx")) != nullptr;
  int64_t inputs = codes.shape[0] * 32 / config.bits;
  int bits = config.bits;
  FoundWeight found{.name = name("weight"), .outputs = codes.shape[1]};
  found.parts = {codes.name, zeros.name, scales.name};
  std::optional<ImportedPart> indices;
  if (indexed) {  // its length says how many bits a module has that `dynamic` treats otherwise
    indices = imported_part(folder, name("g_idx"), {DType::kI32}, 1);
    found.parts.push_back(indices->name);
    inputs = indices->shape[0];
    bits = inputs > 0 ? static_cast<int>(std::min<int64_t>(codes.shape[0] * 32 / inputs, 9)) : 9;
  }
  constexpr std::array kBits = {2, 3, 4, 8};
  if (std::ranges::find(kBits, bits) == kBits.end() || inputs < 1 || found.outputs < 1 ||
      codes.shape[0] != WordString::length(inputs, bits, false)) {
    throw Error(where_is(folder, folder.require(codes.name)),
                fmt::format("has the shape {}, which is none of 2, 3, 4 or 8 bits for {} inputs",
                            shape_text(codes.shape), inputs));
  }
  found.inputs = inputs;
  const int64_t count = scales.shape[0];
  require_shape(folder, scales, {count, found.outputs});
  require_shape(folder, zeros, {count, WordString::length(found.outputs, bits, false)});
  const Granularity granularity =
      granularity_of_groups(folder, module, inputs, count, config.group);
  const GptqZeroPoints zero_points{zeros, bits, config.v2};
  const bool symmetric =
      config.symmetric && all_zero_points_are(zero_points, found.outputs, 1u << (bits - 1));
  const PackedEntry entry =
      group_scaled_entry(folder, fmt::format("int{}{}", bits, symmetric ? "" : ":asym"),
                         granularity, scales, found.outputs, inputs);
  std::vector<int32_t> groups;
  if (indices) groups = permuted_groups(folder, *indices, granularity, count);
  found.type = entry.spec.format.spelling() + (groups.empty() ? "" : " (act-order)");
  found.weight = std::make_shared<GptqWeight>(entry, std::move(groups), codes, scales, zero_points);
  return found;
}

}  // namespace

FoundModel find_gptq(const Checkpoint& folder, const json& config) {
  const GptqConfig read(config, folder.path() + "/config.json: quantization_config");
  FoundModel model;
  for (const std::string& module : modules_with(folder, ".qweight")) {
    model.weights.push_back(read_gptq(folder, module, read));
  }
  return model;
}

}  // namespace scant
