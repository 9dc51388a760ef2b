#include "checkpoint/imports/bitsandbytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "checkpoint/imports/gptq_parts.h"
#include "checkpoint/json_text.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"
#include "formats/elements/nf4.h"

namespace scant {
namespace {

using nlohmann::json;

constexpr std::string_view kState = ".quant_state.bitsandbytes__";

/// Two values to a byte, the first in the high nibble, row after row; a scale for every `block` of
/// them, which may be an 8-bit number of its own: table[number] x absmax of 256 numbers + offset.
struct Nibbles {
  ImportedPart codes, scales;
  std::optional<ImportedPart> nested_table, nested_scales;
  float nested_offset = 0.0f;
  int64_t nested_block = 256;
  int64_t block = 64;
  std::array<float, 16> table{};

  uint32_t code(int64_t index) const {
    const auto byte = std::to_integer<uint32_t>(codes.bytes[static_cast<size_t>(index / 2)]);
    return index % 2 == 0 ? byte >> 4 : byte & 15u;
  }
  float scale(int64_t index) const {
    if (!nested_table) return read_scale(scales.bytes, index, ScaleStorage::kF32);
    const auto number = std::to_integer<int64_t>(scales.bytes[static_cast<size_t>(index)]);
    const float step = read_scale(nested_scales->bytes, index / nested_block, ScaleStorage::kF32);
    return read_scale(nested_table->bytes, number, ScaleStorage::kF32) * step + nested_offset;
  }
};

/// NF4 whose blocks fill rows: a number format.
class Nf4Weight final : public ImportedCodes {
 public:
  Nf4Weight(PackedEntry entry, Nibbles nibbles)
      : ImportedCodes(std::move(entry)), nibbles_(std::move(nibbles)) {}

 private:
  void read_codes(int64_t row, std::span<uint32_t> codes) const override {
    for (size_t c = 0; c < codes.size(); ++c) {
      codes[c] = nibbles_.code(row * spec().cols + static_cast<int64_t>(c));
    }
  }
  BlockScale scale(int64_t row, int64_t group) const override {
    return {nibbles_.scale(row * (spec().cols / nibbles_.block) + group), 0};
  }

  Nibbles nibbles_;
};

/// Other tables, and blocks that go on in the next row: values.
class TableWeight final : public ImportedWeight {
 public:
  explicit TableWeight(Nibbles nibbles) : nibbles_(std::move(nibbles)) {}
  void read_rows(int64_t begin, MatrixView out) const override {
    for (int64_t r = 0; r < out.rows; ++r) {
      for (int64_t c = 0; c < out.cols; ++c) {
        const int64_t index = (begin + r) * out.cols + c;
        out(r, c) = nibbles_.table[nibbles_.code(index)] * nibbles_.scale(index / nibbles_.block);
      }
    }
  }

 private:
  Nibbles nibbles_;
};

/// The state that bitsandbytes keeps as JSON in a tensor of bytes.
class State {
 public:
  State(const Checkpoint& folder, const StoredTensor& tensor) : where_(where_is(folder, tensor)) {
    const ImportedPart bytes = imported_part(folder, tensor.name, {DType::kU8}, 1);
    const auto* text = reinterpret_cast<const char*>(bytes.bytes.data());
    content_ = parse_json_object({text, bytes.bytes.size()}, where_);
  }

  int64_t whole(const char* key) const {
    const auto found = content_.find(key);
    if (found == content_.end() || !found->is_number_integer() || *found < 1 ||
        *found > (int64_t{1} << 30)) {
      throw Error(where_, fmt::format("has no size {}", key));
    }
    return found->get<int64_t>();
  }
  float number(const char* key) const {
    const auto found = content_.find(key);
    if (found == content_.end() || !found->is_number()) {
      throw Error(where_, fmt::format("has no number {}", key));
    }
    return found->get<float>();
  }
  /// Outputs and inputs.
  std::array<int64_t, 2> shape() const {
    const json& list = content_.value("shape", json());
    std::array<int64_t, 2> extents{};
    for (size_t i = 0; i < extents.size(); ++i) {
      const bool known = list.is_array() && list.size() == 2 && list[i].is_number_integer();
      extents[i] = known ? list[i].get<int64_t>() : 0;
      if (extents[i] < 1 || extents[i] > (int64_t{1} << 32)) {
        throw Error(where_, "has no shape of two sizes");
      }
    }
    if (extents[1] > (int64_t{1} << 40) / extents[0]) throw Error(where_, "has too large a shape");
    return extents;
  }

 private:
  std::string where_;
  json content_;
};

ImportedPart vector_part(const Checkpoint& folder, const std::string& name, DType dtype,
                         int64_t count, FoundWeight& found) {
  ImportedPart part = imported_part(folder, name, {dtype}, 1);
  require_shape(folder, part, {count});
  found.parts.push_back(part.name);
  return part;
}

FoundWeight read_weight(const Checkpoint& folder, const StoredTensor& state_tensor) {
  const State state(folder, state_tensor);
  FoundWeight found;
  found.name = state_tensor.name.substr(0, state_tensor.name.find(kState));
  found.parts = {state_tensor.name};
  const auto [outputs, inputs] = state.shape();
  found.outputs = outputs;
  found.inputs = inputs;
  const int64_t count = outputs * inputs;
  Nibbles nibbles;
  nibbles.block = state.whole("blocksize");
  nibbles.codes = imported_part(folder, found.name, {DType::kU8}, 2);
  require_shape(folder, nibbles.codes, {(count + 1) / 2, 1});
  found.parts.push_back(found.name);
  const int64_t blocks = (count + nibbles.block - 1) / nibbles.block;
  const bool nested = folder.find(found.name + ".nested_absmax") != nullptr;
  nibbles.scales =
      vector_part(folder, found.name + ".absmax", nested ? DType::kU8 : DType::kF32, blocks, found);
  if (nested) {
    nibbles.nested_block = state.whole("nested_blocksize");
    nibbles.nested_offset = state.number("nested_offset");
    nibbles.nested_table =
        vector_part(folder, found.name + ".nested_quant_map", DType::kF32, 256, found);
    nibbles.nested_scales =
        vector_part(folder, found.name + ".nested_absmax", DType::kF32,
                    (blocks + nibbles.nested_block - 1) / nibbles.nested_block, found);
  }
  const ImportedPart table = vector_part(folder, found.name + ".quant_map", DType::kF32, 16, found);
  std::memcpy(nibbles.table.data(), table.bytes.data(), sizeof nibbles.table);
  if (nibbles.table != Nf4Element::kValues || inputs % nibbles.block != 0) {
    found.type = fmt::format("4 bits of a table, in blocks of {}", nibbles.block);
    found.weight = std::make_shared<TableWeight>(std::move(nibbles));
    return found;
  }
  PackedEntry entry;
  entry.spec.format =
      imported_format("nf4", {Granularity::Kind::kGroup, nibbles.block}, ScaleStorage::kF32);
  entry.spec.layout = "dense";
  entry.spec.rows = outputs;
  entry.spec.cols = inputs;
  entry.dtype = configured_dtype(folder);
  found.type = entry.spec.format.spelling();
  found.weight = std::make_shared<Nf4Weight>(entry, std::move(nibbles));
  return found;
}

}  // namespace

FoundModel find_bitsandbytes(const Checkpoint& folder, const json& config) {
  if (config.value("load_in_4bit", json(false)) != true) {
    throw Error(folder.path() + "/config.json: quantization_config",
                "is bitsandbytes of 8 bits; expected load_in_4bit");
  }
  FoundModel model;
  for (const StoredTensor& tensor : folder.tensors()) {
    const size_t at = tensor.name.find(kState);
    if (at == std::string::npos || at == 0) continue;
    model.weights.push_back(read_weight(folder, tensor));
  }
  return model;
}

}  // namespace scant
