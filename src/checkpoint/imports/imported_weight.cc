#include "checkpoint/imports/imported_weight.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "checkpoint/tensor_table.h"
#include "core/error.h"
#include "formats/block_codec.h"

namespace scant {

namespace {

/// The columns of group 0, then of group 1, and so on; empty unless each group has `size` of them
/// (the last one: what is left).
std::vector<int32_t> order_by_group(std::span<const int32_t> group_of, int64_t size) {
  std::vector<int32_t> order(group_of.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {},
                           [&](int32_t column) { return group_of[static_cast<size_t>(column)]; });
  for (size_t place = 0; place < order.size(); ++place) {
    const int32_t group = group_of[static_cast<size_t>(order[place])];
    if (group != static_cast<int64_t>(place) / size) return {};
  }
  return order;
}

}  // namespace

ImportedCodes::ImportedCodes(PackedEntry entry, std::vector<int32_t> group_of)
    : entry_(std::move(entry)), group_of_(std::move(group_of)) {
  const Granularity& granularity = spec().format.granularity;
  if (group_of_.empty() || granularity.kind != Granularity::Kind::kGroup) return;
  order_ = order_by_group(group_of_, granularity.size);
  entry_.spec.column_order = !order_.empty();
}

int64_t ImportedCodes::groups_in_row() const {
  const Granularity& granularity = spec().format.granularity;
  if (granularity.kind != Granularity::Kind::kGroup) return 1;
  return (spec().cols + granularity.size - 1) / granularity.size;
}

void ImportedCodes::read_rows(int64_t begin, MatrixView out) const {
  std::vector<uint32_t> codes(static_cast<size_t>(spec().cols));
  std::vector<BlockScale> scales(static_cast<size_t>(groups_in_row()));
  const Granularity& granularity = spec().format.granularity;
  const int64_t width =
      granularity.kind == Granularity::Kind::kGroup ? granularity.size : spec().cols;
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (int64_t r = 0; r < out.rows; ++r) {
            read_codes(begin + r, codes);
            for (size_t g = 0; g < scales.size(); ++g) {
              scales[g] =
                  effective_scale(scale(begin + r, static_cast<int64_t>(g)), tensor_scale());
            }
            float* values = out.row(r);
            for (int64_t c = 0; c < spec().cols; ++c) {
              const auto at = static_cast<size_t>(c);
              const auto group = static_cast<size_t>(group_of_.empty() ? c / width : group_of_[at]);
              values[c] = decode(element, static_cast<uint8_t>(codes[at]), scales[group]);
            }
          }
        }
      },
      spec().format.element);
}

std::shared_ptr<const PackedMatrix> ImportedCodes::packed() const {
  if (entry() == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  if (auto known = packed_.lock()) return known;
  QuantizedMatrix matrix;
  matrix.format = spec().format;
  matrix.rows = spec().rows;
  matrix.cols = spec().cols;
  matrix.codes.resize(static_cast<size_t>(matrix.rows * matrix.cols));
  matrix.column_order = order_;
  std::vector<uint32_t> codes(static_cast<size_t>(matrix.cols));
  for (int64_t r = 0; r < matrix.rows; ++r) {
    read_codes(r, codes);
    uint8_t* to = matrix.codes.data() + r * matrix.cols;
    for (size_t place = 0; place < codes.size(); ++place) {
      const size_t column = order_.empty() ? place : static_cast<size_t>(order_[place]);
      to[place] = static_cast<uint8_t>(codes[column]);
    }
  }
  const bool one = matrix.format.granularity.kind == Granularity::Kind::kTensor;
  for (int64_t r = 0; r < (one ? 1 : matrix.rows); ++r) {
    for (int64_t g = 0; g < groups_in_row(); ++g) {
      const BlockScale block = scale(r, g);
      if (!std::isfinite(block.scale)) {
        throw Error("", fmt::format("the scale of row {}, group {} is {}; expected a finite one", r,
                                    g, block.scale));
      }
      matrix.scales.push_back(block.scale);
      if (matrix.format.rules().zero_point) matrix.zero_points.push_back(block.zero_point);
    }
  }
  if (matrix.format.rules().two_level) matrix.tensor_scales.push_back(tensor_scale());
  auto made =
      std::make_shared<const PackedMatrix>(pack(matrix, nullptr, std::nullopt, spec().layout));
  packed_ = made;
  return made;
}

uint32_t WordString::operator[](int64_t index) const {
  const int64_t per_word = 32 / width;
  const int64_t bit = whole ? index / per_word * 32 + index % per_word * width : index * width;
  const auto word = [&](int64_t i) {
    uint32_t value = 0;
    std::memcpy(&value, words + i * stride * 4, sizeof value);
    return value;
  };
  const int64_t first = bit / 32;
  const int shift = static_cast<int>(bit % 32);
  uint64_t bits = word(first);
  if (shift + width > 32) bits |= static_cast<uint64_t>(word(first + 1)) << 32;
  return static_cast<uint32_t>(bits >> shift) & ((1u << width) - 1u);
}

int64_t WordString::length(int64_t count, int width, bool whole) {
  const int64_t per_word = 32 / width;
  return whole ? (count + per_word - 1) / per_word : (count * width + 31) / 32;
}

NumberFormat imported_format(const std::string& spelling, const Granularity& granularity,
                             std::optional<ScaleStorage> storage) {
  NumberFormat format = NumberFormat::parse(spelling, Role::kWeight);
  format.granularity = granularity;
  if (storage) format.scale_storage = *storage;
  return format;
}

ScaleStorage scale_storage_of(const ImportedPart& scales) {
  switch (scales.dtype) {
    case DType::kF32:
      return ScaleStorage::kF32;
    case DType::kBF16:
      return ScaleStorage::kBF16;
    case DType::kF16:
      return ScaleStorage::kF16;
    default:
      throw Error(
          "tensor " + quoted_name(scales.name),
          fmt::format("holds scales as {}; expected F32, F16 or BF16", dtype_name(scales.dtype)));
  }
}

DType configured_dtype(const Checkpoint& folder) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    const auto found = folder.config().find(key);
    if (found == folder.config().end() || !found->is_string()) continue;
    const std::string name = found->get<std::string>();
    if (name == "bfloat16") return DType::kBF16;
    if (name == "float16") return DType::kF16;
  }
  return DType::kF32;
}

std::string where_is(const Checkpoint& folder, const StoredTensor& tensor) {
  return fmt::format("{}/{}: tensor {}", folder.path(), tensor.file, quoted_name(tensor.name));
}

ImportedPart imported_part(const Checkpoint& folder, const std::string& name,
                           std::initializer_list<DType> dtypes, size_t rank) {
  const StoredTensor& stored = folder.require(name);
  const TensorView raw = folder.raw(stored);
  const bool known = raw.data != nullptr && std::ranges::find(dtypes, raw.dtype) != dtypes.end();
  if (!known || stored.shape.size() != rank) {
    std::string expected;
    for (const DType dtype : dtypes) {
      expected += (expected.empty() ? "" : " or ") + std::string(dtype_name(dtype));
    }
    throw Error(where_is(folder, stored),
                fmt::format("is {} of shape {}; expected {} with {} dimension{}", stored.type,
                            shape_text(stored.shape), expected, rank, rank == 1 ? "" : "s"));
  }
  return {name, {raw.data, raw.bytes()}, raw.dtype, stored.shape};
}

void require_shape(const Checkpoint& folder, const ImportedPart& part, const Shape& shape) {
  if (part.shape == shape) return;
  throw Error(
      where_is(folder, folder.require(part.name)),
      fmt::format("has the shape {}; expected {}", shape_text(part.shape), shape_text(shape)));
}

}  // namespace scant
