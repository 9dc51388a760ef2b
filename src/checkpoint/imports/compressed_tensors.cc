#include "checkpoint/imports/compressed_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "checkpoint/imports/block_scaled.h"
#include "checkpoint/imports/module_targets.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"
#include "formats/layouts/bit_runs.h"

namespace scant {
namespace {

using nlohmann::json;

bool ends_module(const StoredTensor& tensor, std::string_view suffix) {
  return tensor.name.ends_with(suffix) && tensor.name.size() > suffix.size();
}

/// Where the codes of a row stand, and what makes an element's code of a stored number.
struct CodeString {
  std::span<const std::byte> bytes;
  int64_t row_bytes = 0;
  int width = 8;       ///< bits of a stored number
  uint32_t add = 0;    ///< stored number + add, its low code_bits bits, is the code
  bool whole = false;  ///< words of 32 bits hold whole numbers only (before release 0.17)
};

struct ZeroPoints {
  const std::byte* data = nullptr;  ///< null: none
  bool packed = false;              ///< along the rows, in I32; else an I8 each
  int width = 4;
  bool whole = false;
  int64_t columns = 1;
};

class CompressedTensorsWeight final : public ImportedCodes {
 public:
  CompressedTensorsWeight(PackedEntry entry, std::vector<int32_t> groups, const CodeString& codes,
                          std::span<const std::byte> scales, const ZeroPoints& zero_points,
                          float tensor_scale)
      : ImportedCodes(std::move(entry), std::move(groups)),
        codes_(codes),
        scales_(scales),
        zero_points_(zero_points),
        tensor_scale_(tensor_scale) {}

 private:
  void read_codes(int64_t row, std::span<uint32_t> codes) const override {
    const int bits = spec().format.code_bits();
    const uint32_t mask = (1u << bits) - 1u;
    const auto bytes = codes_.bytes.subspan(static_cast<size_t>(row * codes_.row_bytes),
                                            static_cast<size_t>(codes_.row_bytes));
    const WordString words{bytes.data(), 1, codes_.width, codes_.whole};
    for (size_t c = 0; c < codes.size(); ++c) {
      const auto at = static_cast<int64_t>(c);
      const uint32_t stored =
          codes_.whole ? words[at] : get_bits(bytes, at * codes_.width, codes_.width);
      // Fewer bits in an I8: the number must be one of the element's.
      if (codes_.width > bits && ((stored + (1u << (bits - 1))) & 0xffu) > mask) {
        throw Error(
            "", fmt::format("the number at row {}, column {} has more than {} bits", row, c, bits));
      }
      codes[c] = (stored + codes_.add) & mask;
    }
  }

  BlockScale scale(int64_t row, int64_t group) const override {
    const Granularity& granularity = spec().format.granularity;
    const bool groups = granularity.kind == Granularity::Kind::kGroup;
    const int64_t per_row = groups ? (spec().cols + granularity.size - 1) / granularity.size : 1;
    const bool one = granularity.kind == Granularity::Kind::kTensor;
    const int64_t at = one ? 0 : row * per_row + group;
    BlockScale result{read_scale(scales_, at, spec().format.scale_storage), 0};
    if (zero_points_.data == nullptr) return result;
    if (zero_points_.packed) {
      const WordString column{zero_points_.data + 4 * group, zero_points_.columns,
                              zero_points_.width, zero_points_.whole};
      result.zero_point = static_cast<int32_t>(column[row]);
    } else {
      const auto stored = std::to_integer<int8_t>(zero_points_.data[at]);
      const int half = 1 << (spec().format.code_bits() - 1);
      result.zero_point = std::clamp(stored + half, 0, 2 * half - 1);
    }
    return result;
  }

  float tensor_scale() const override { return tensor_scale_; }

  CodeString codes_;
  std::span<const std::byte> scales_;
  ZeroPoints zero_points_;
  float tensor_scale_;
};

/// Puts one module's weight together.
class WeightReader {
 public:
  WeightReader(const Checkpoint& folder, std::string module,
               const CompressedTensorsArguments& arguments)
      : folder_(folder), module_(std::move(module)), arguments_(arguments) {}

  FoundWeight read() {
    found_.name = module_ + ".weight";
    const StoredTensor* packed = folder_.find(module_ + ".weight_packed");
    const bool words = packed != nullptr && packed->dtype == DType::kI32;
    if (arguments_.is_float && arguments_.strategy == "block") return read_blocks();
    const CodeString codes = words ? packed_words() : packed != nullptr ? byte_string() : plain();
    const PackedEntry entry = entry_of();
    const ImportedPart scales = scales_part(entry);
    const ZeroPoints zero_points = zero_points_of(entry, words);
    std::vector<int32_t> groups = groups_of_columns();
    found_.type = entry.spec.format.spelling() + (groups.empty() ? "" : " (act-order)");
    found_.weight = std::make_shared<CompressedTensorsWeight>(
        entry, std::move(groups), codes, scales.bytes, zero_points, global_scale());
    return std::move(found_);
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(folder_.path(), fmt::format("module {} {}", quoted_name(module_), problem));
  }

  ImportedPart part(const char* suffix, std::initializer_list<DType> dtypes, size_t rank) {
    ImportedPart part = imported_part(folder_, module_ + "." + suffix, dtypes, rank);
    found_.parts.push_back(part.name);
    return part;
  }
  bool has(const char* suffix) const { return folder_.find(module_ + "." + suffix) != nullptr; }
  uint32_t half() const { return 1u << (arguments_.bits - 1); }

  /// pack-quantized: the shape is a tensor of its own.
  CodeString packed_words() {
    if (arguments_.is_float) fail("has packed integers, but its scheme says float");
    const ImportedPart codes = part("weight_packed", {DType::kI32}, 2);
    const ImportedPart shape = part("weight_shape", {DType::kI64, DType::kI32}, 1);
    require_shape(folder_, shape, {2});
    const auto extent = [&](int64_t i) {
      if (shape.dtype == DType::kI32) {
        return static_cast<int64_t>(get_bits(shape.bytes, 32 * i, 32));
      }
      const uint64_t high = get_bits(shape.bytes, 64 * i + 32, 32);
      return static_cast<int64_t>(high << 32 | get_bits(shape.bytes, 64 * i, 32));
    };
    found_.outputs = extent(0);
    found_.inputs = extent(1);
    constexpr int64_t kLargestSide = int64_t{1} << 32;
    if (found_.outputs != codes.shape[0] || found_.inputs < 1 || found_.inputs > kLargestSide) {
      fail(fmt::format("has the weight_shape [{}, {}], which does not fit its {} packed rows",
                       found_.outputs, found_.inputs, codes.shape[0]));
    }
    const int bits = arguments_.bits;
    const bool whole = codes.shape[1] != WordString::length(found_.inputs, bits, false);
    require_shape(folder_, codes, {found_.outputs, WordString::length(found_.inputs, bits, whole)});
    const uint32_t add = arguments_.symmetric ? half() : 0;
    return {codes.bytes, 4 * codes.shape[1], bits, add, whole};
  }

  /// nvfp4, mxfp4, mxfp6: floats in bytes.
  CodeString byte_string() {
    if (!arguments_.is_float) fail("has packed floats, but its scheme says int");
    const ImportedPart codes = part("weight_packed", {DType::kU8}, 2);
    found_.outputs = codes.shape[0];
    found_.inputs = codes.shape[1] * 8 / arguments_.bits;
    if (codes.shape[1] > (int64_t{1} << 40) || codes.shape[1] * 8 % arguments_.bits != 0) {
      fail(fmt::format("has rows of {} bytes, which are no whole number of values of {} bits",
                       codes.shape[1], arguments_.bits));
    }
    return {codes.bytes, codes.shape[1], arguments_.bits, 0, false};
  }

  /// One byte each.
  ImportedPart plain_codes() {
    ImportedPart codes = part("weight", {arguments_.is_float ? DType::kF8E4M3 : DType::kI8}, 2);
    found_.outputs = codes.shape[0];
    found_.inputs = codes.shape[1];
    return codes;
  }
  CodeString plain() {
    const ImportedPart codes = plain_codes();
    const uint32_t add = arguments_.is_float || arguments_.symmetric ? 0 : half();
    return {codes.bytes, found_.inputs, 8, add, false};
  }

  FoundWeight read_blocks() {
    const ImportedPart codes = plain_codes();
    const ImportedPart scales = part("weight_scale", {DType::kF32, DType::kBF16, DType::kF16}, 2);
    found_.type =
        fmt::format("fp8_e4m3 in blocks of {} x {}", arguments_.block_rows, arguments_.block_cols);
    found_.weight = std::make_shared<BlockScaledFloat8>(
        folder_, codes, scales, arguments_.block_rows, arguments_.block_cols);
    return std::move(found_);
  }

  std::string element() const {
    const bool eighths = folder_.require(module_ + ".weight_scale").dtype == DType::kU8;
    if (!arguments_.is_float) {
      return fmt::format("int{}{}", arguments_.bits, arguments_.symmetric ? "" : ":asym");
    }
    if (eighths && arguments_.bits == 8) return "mxfp8_e4m3";
    if (eighths && arguments_.bits == 6) return "mxfp6_e2m3";
    if (eighths && arguments_.bits == 4) return "mxfp4";
    if (arguments_.bits == 8) return "fp8_e4m3";
    if (arguments_.bits == 4 && has("weight_global_scale")) return "nvfp4";
    fail(fmt::format("holds floats of {} bits; expected fp8, nvfp4, mxfp4, mxfp6 or mxfp8",
                     arguments_.bits));
  }

  PackedEntry entry_of() {
    if (!arguments_.is_float && arguments_.bits < 2) fail("has integers of 1 bit; expected 2 to 8");
    Granularity granularity{Granularity::Kind::kTensor, 0};
    if (arguments_.strategy == "channel") granularity.kind = Granularity::Kind::kRow;
    if (arguments_.strategy == "group" || arguments_.strategy == "tensor_group") {
      granularity = {Granularity::Kind::kGroup, arguments_.group};
      if (found_.inputs % arguments_.group != 0) {
        fail(fmt::format("has {} inputs, which are no whole number of groups of {}", found_.inputs,
                         arguments_.group));
      }
    } else if (arguments_.strategy != "channel" && arguments_.strategy != "tensor") {
      fail(
          fmt::format("has weights by {}; expected tensor, channel or group", arguments_.strategy));
    }
    const std::string spelling = element();
    const NumberFormat known = NumberFormat::parse(spelling, Role::kWeight);
    std::optional<ScaleStorage> storage;
    if (!known.rules().storage) {
      storage = scale_storage_of(imported_scale());
    } else if (known.rules().granularity != granularity) {
      fail(fmt::format("holds {} in groups of {}; expected {}", spelling, arguments_.group,
                       known.rules().granularity.size));
    }
    PackedEntry entry;
    entry.spec.format = imported_format(spelling, granularity, storage);
    entry.spec.layout = "dense";
    entry.spec.rows = found_.outputs;
    entry.spec.cols = found_.inputs;
    entry.dtype = configured_dtype(folder_);
    return entry;
  }

  ImportedPart imported_scale() const {
    const StoredTensor& stored = folder_.require(module_ + ".weight_scale");
    return imported_part(folder_, stored.name,
                         {DType::kF32, DType::kBF16, DType::kF16, DType::kU8, DType::kF8E4M3},
                         stored.shape.size());
  }

  ImportedPart scales_part(const PackedEntry& entry) {
    ImportedPart scales = imported_scale();
    found_.parts.push_back(scales.name);
    const bool is_e4m3 = entry.spec.format.scale_storage == ScaleStorage::kE4M3;
    if (is_e4m3 != (scales.dtype == DType::kF8E4M3)) fail("has scales of another type");
    const int64_t count = entry.spec.format.block_count(entry.spec.rows, entry.spec.cols);
    if (element_count(scales.shape) != count) {
      throw Error(where_is(folder_, folder_.require(scales.name)),
                  fmt::format("has the shape {}; expected {} scales for {}",
                              shape_text(scales.shape), count, entry.spec.format.spelling()));
    }
    return scales;
  }

  ZeroPoints zero_points_of(const PackedEntry& entry, bool words) {
    if (!entry.spec.format.rules().zero_point) {
      // Releases before 0.9 wrote zeros for symmetric schemes, too.
      if (has("weight_zero_point")) found_.parts.push_back(module_ + ".weight_zero_point");
      return {};
    }
    const int64_t columns = entry.spec.format.block_count(1, entry.spec.cols);
    if (!words || arguments_.strategy == "tensor") {
      const StoredTensor& stored = folder_.require(module_ + ".weight_zero_point");
      const ImportedPart zeros = part("weight_zero_point", {DType::kI8}, stored.shape.size());
      const int64_t count = entry.spec.format.block_count(entry.spec.rows, entry.spec.cols);
      if (element_count(zeros.shape) != count)
        fail("has another number of zero points than scales");
      return {zeros.bytes.data(), false, arguments_.bits, false, columns};
    }
    const ImportedPart zeros = part("weight_zero_point", {DType::kI32}, 2);
    const int bits = arguments_.bits;
    const bool whole = zeros.shape[0] != WordString::length(found_.outputs, bits, false);
    require_shape(folder_, zeros, {WordString::length(found_.outputs, bits, whole), columns});
    return {zeros.bytes.data(), true, bits, whole, columns};
  }

  /// NVFP4: scales are divided by it.
  float global_scale() {
    if (!has("weight_global_scale")) return 1.0f;
    found_.parts.push_back(module_ + ".weight_global_scale");
    return global_scale_factor(folder_, found_.parts.back());
  }

  /// From g_idx, which releases before 0.18 wrote; empty where groups follow each other.
  std::vector<int32_t> groups_of_columns() {
    if (!has("weight_g_idx")) return {};
    const ImportedPart indices = part("weight_g_idx", {DType::kI32}, 1);
    require_shape(folder_, indices, {found_.inputs});
    std::vector<int32_t> groups(static_cast<size_t>(found_.inputs));
    bool in_order = true, unset = true;
    for (size_t c = 0; c < groups.size(); ++c) {
      groups[c] = static_cast<int32_t>(get_bits(indices.bytes, static_cast<int64_t>(c) * 32, 32));
      unset = unset && groups[c] == -1;
      in_order =
          in_order && groups[c] == static_cast<int64_t>(c) / std::max<int64_t>(arguments_.group, 1);
    }
    if (in_order || unset) return {};
    const int64_t count = arguments_.group > 0 ? found_.inputs / arguments_.group : 1;
    for (const int32_t group : groups) {
      if (group < 0 || group >= count) fail("has a g_idx that names no group");
    }
    return groups;
  }

  const Checkpoint& folder_;
  std::string module_;
  const CompressedTensorsArguments& arguments_;
  FoundWeight found_;
};

/// What config_groups says of modules.
class Groups {
 public:
  Groups(const json& config, const std::string& where)
      : groups_(compressed_tensors_groups(config, where)) {
    for (const CompressedTensorsGroup& group : groups_) {
      targets_.emplace_back();
      for (const std::string& target : group.targets) targets_.back().emplace_back(target, where);
    }
  }

  /// The group of a quantized module: one that names it goes before one of its class.
  const CompressedTensorsGroup* find(const std::string& module) const {
    for (size_t i = 0; i < groups_.size(); ++i) {
      if (std::ranges::any_of(targets_[i], [&](const auto& t) { return t.names(module); })) {
        return &groups_[i];
      }
    }
    for (size_t i = 0; i < groups_.size(); ++i) {
      if (std::ranges::any_of(targets_[i], [](const auto& t) { return t.is_class(); })) {
        return &groups_[i];
      }
    }
    return nullptr;
  }

 private:
  std::vector<CompressedTensorsGroup> groups_;
  std::vector<std::vector<ModuleTarget>> targets_;
};

/// Modules with codes, in the order of the file.
std::vector<std::string> quantized_modules(const Checkpoint& folder) {
  constexpr std::string_view kPacked = ".weight_packed", kPlain = ".weight";
  std::vector<std::string> modules;
  for (const StoredTensor& tensor : folder.tensors()) {
    const bool bytes = tensor.dtype == DType::kI8 || tensor.dtype == DType::kF8E4M3;
    if (ends_module(tensor, kPacked)) {
      modules.push_back(tensor.name.substr(0, tensor.name.size() - kPacked.size()));
    } else if (ends_module(tensor, kPlain) && bytes) {
      modules.push_back(tensor.name.substr(0, tensor.name.size() - kPlain.size()));
    }
  }
  return modules;
}

}  // namespace

float global_scale_factor(const Checkpoint& folder, const std::string& tensor) {
  const ImportedPart scale = imported_part(folder, tensor, {DType::kF32}, 1);
  require_shape(folder, scale, {1});
  const float divisor = read_scale(scale.bytes, 0, ScaleStorage::kF32);
  const float factor = 1.0f / divisor;
  if (!std::isfinite(factor) || factor <= 0.0f) {
    throw Error(where_is(folder, folder.require(tensor)),
                fmt::format("is {}; expected a positive number", divisor));
  }
  return factor;
}

FoundModel find_compressed_tensors(const Checkpoint& folder, const json& config) {
  const Groups groups(config, folder.path() + "/config.json: quantization_config");
  FoundModel model;
  for (const std::string& module : quantized_modules(folder)) {
    const CompressedTensorsGroup* group = groups.find(module);
    if (group == nullptr || !group->weights) {
      throw Error(folder.path(), fmt::format("module {} is stored as codes, but no group of "
                                             "quantization_config says how",
                                             quoted_name(module)));
    }
    FoundWeight found = WeightReader(folder, module, *group->weights).read();
    if (group->inputs) {
      model.activations[module] =
          compressed_tensors_inputs(folder, module, *group->inputs, found.parts);
    }
    model.weights.push_back(std::move(found));
  }
  return model;
}

}  // namespace scant
