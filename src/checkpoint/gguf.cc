#include "checkpoint/gguf.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <unordered_set>

#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read as they are stored");

constexpr uint64_t kDefaultAlignment = 32;
constexpr uint32_t kMostDimensions = 4;
constexpr size_t kLongestTensorName = 64;

/// Bytes of a value by type; 0 where the size varies.
constexpr std::array<uint64_t, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/// Shortest possible entries: names of one byte.
constexpr uint64_t kSmallestKey = 8 + 1 + 4 + 1;
constexpr uint64_t kSmallestTensor = 8 + 1 + 4 + 4 + 8;

/// Reads forward through the header and never past its end.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  uint64_t position() const { return position_; }
  uint64_t left() const { return bytes_.size() - position_; }

  std::span<const std::byte> take(uint64_t count, const std::string& what) {
    if (count > left()) {
      throw Error(where_, fmt::format("is truncated: {} needs {} bytes at {}, the file has {}",
                                      what, count, position_, bytes_.size()));
    }
    const auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }

  template <typename T>
  T read(const std::string& what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }

  std::string_view text(const std::string& what) {
    const auto length = read<uint64_t>(what);
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& where_;
  size_t position_ = 0;
};

GgufValueType read_value_type(Cursor& cursor, const std::string& where, const std::string& what) {
  const auto type = cursor.read<uint32_t>(what);
  if (type >= kValueBytes.size()) {
    throw Error(where, fmt::format("{} has the unknown value type {}", what, type));
  }
  return static_cast<GgufValueType>(type);
}

GgufArray read_array(Cursor& cursor, const std::string& where, const std::string& what) {
  GgufArray array;
  array.type = read_value_type(cursor, where, what);
  array.count = cursor.read<uint64_t>(what);
  if (array.type == GgufValueType::kArray) {
    throw Error(where, what + " is an array of arrays; expected plain items");
  }
  if (array.type == GgufValueType::kText) {
    Cursor items = cursor;
    for (uint64_t i = 0; i < array.count; ++i) items.text(what);
    array.items = cursor.take(items.position() - cursor.position(), what);
    return array;
  }
  const uint64_t size = kValueBytes[static_cast<size_t>(array.type)];
  if (array.count > cursor.left() / size) {
    throw Error(where, fmt::format("is truncated: {} claims {} items, the file has {} bytes left",
                                   what, array.count, cursor.left()));
  }
  array.items = cursor.take(array.count * size, what);
  return array;
}

GgufValue read_value(Cursor& cursor, const std::string& where, const std::string& what) {
  const auto as_unsigned = [](auto value) { return GgufValue{static_cast<uint64_t>(value)}; };
  const auto as_signed = [](auto value) { return GgufValue{static_cast<int64_t>(value)}; };
  switch (read_value_type(cursor, where, what)) {
    case GgufValueType::kU8:
      return as_unsigned(cursor.read<uint8_t>(what));
    case GgufValueType::kI8:
      return as_signed(cursor.read<int8_t>(what));
    case GgufValueType::kU16:
      return as_unsigned(cursor.read<uint16_t>(what));
    case GgufValueType::kI16:
      return as_signed(cursor.read<int16_t>(what));
    case GgufValueType::kU32:
      return as_unsigned(cursor.read<uint32_t>(what));
    case GgufValueType::kI32:
      return as_signed(cursor.read<int32_t>(what));
    case GgufValueType::kU64:
      return as_unsigned(cursor.read<uint64_t>(what));
    case GgufValueType::kI64:
      return as_signed(cursor.read<int64_t>(what));
    case GgufValueType::kF32:
      return cursor.read<float>(what);
    case GgufValueType::kF64:
      return cursor.read<double>(what);
    case GgufValueType::kBool:
      return cursor.read<uint8_t>(what) != 0;
    case GgufValueType::kText:
      return cursor.text(what);
    case GgufValueType::kArray:
      break;
  }
  return read_array(cursor, where, what);
}

/// One entry of the tensor list; its data are placed later.
GgufTensor read_tensor(Cursor& cursor, const std::string& where, uint64_t number,
                       uint64_t& offset) {
  GgufTensor tensor;
  tensor.name = cursor.text(fmt::format("the name of tensor {}", number));
  const std::string what = "tensor " + quoted_name(tensor.name);
  if (tensor.name.empty() || tensor.name.size() > kLongestTensorName || !is_utf8(tensor.name)) {
    throw Error(where, fmt::format("{} (number {}) has no proper name; expected 1 to {} bytes of "
                                   "UTF-8",
                                   what, number, kLongestTensorName));
  }
  const auto rank = cursor.read<uint32_t>(what);
  if (rank > kMostDimensions) {
    throw Error(where, fmt::format("{} has {} dimensions; expected at most {}", what, rank,
                                   kMostDimensions));
  }
  uint64_t elements = 1;
  for (uint32_t i = 0; i < rank; ++i) {
    const auto extent = cursor.read<uint64_t>(what);
    if (extent == 0 || __builtin_mul_overflow(elements, extent, &elements) ||
        elements > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / 8) {
      throw Error(where, fmt::format("{} has an extent of {}; expected a product of extents "
                                     "between 1 and 2^60",
                                     what, extent));
    }
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(extent));
  }
  const auto type = cursor.read<uint32_t>(what);
  tensor.type = find_gguf_type(type);
  if (tensor.type == nullptr || !tensor.type->is_readable()) {
    throw Error(where, fmt::format("{} has type {}; supported are {}", what,
                                   tensor.type == nullptr ? fmt::format("number {}", type)
                                                          : std::string(tensor.type->name),
                                   readable_gguf_types()));
  }
  const uint64_t row = rank == 0 ? 1 : static_cast<uint64_t>(tensor.shape.back());
  if (row % tensor.type->elements != 0) {
    throw Error(where, fmt::format("{} has rows of {} values; {} needs a multiple of {}", what, row,
                                   tensor.type->name, tensor.type->elements));
  }
  tensor.bytes = elements / tensor.type->elements * tensor.type->bytes;
  offset = cursor.read<uint64_t>(what);
  return tensor;
}

}  // namespace

GgufFile::GgufFile(std::span<const std::byte> bytes, std::string where)
    : bytes_(bytes), where_(std::move(where)) {
  Cursor cursor(bytes_, where_);
  if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "GGUF", 4) != 0) {
    throw Error(where_, "does not begin with \"GGUF\"");
  }
  cursor.take(4, "the magic number");
  version_ = cursor.read<uint32_t>("the version");
  if (version_ != 2 && version_ != 3) {
    throw Error(where_, version_ != 0 && version_ % 65536 == 0
                            ? std::string("is a big-endian GGUF file; expected little-endian")
                            : fmt::format("is GGUF version {}; expected 3 (or 2)", version_));
  }
  const auto tensor_count = cursor.read<uint64_t>("the number of tensors");
  const auto key_count = cursor.read<uint64_t>("the number of keys");
  // Counts are never trusted with memory: each entry must be there before the next is read.
  if (key_count > cursor.left() / kSmallestKey || tensor_count > cursor.left() / kSmallestTensor) {
    throw Error(where_, fmt::format("is truncated: claims {} keys and {} tensors in {} bytes",
                                    key_count, tensor_count, bytes_.size()));
  }
  for (uint64_t i = 0; i < key_count; ++i) {
    const std::string_view key = cursor.text(fmt::format("key {}", i));
    const std::string what = "key " + quoted_name(key);
    if (key.empty() || !is_utf8(key)) {
      throw Error(where_, fmt::format("{} (number {}) is not a name in UTF-8", what, i));
    }
    const uint64_t begin = cursor.position();
    if (!values_.emplace(key, read_value(cursor, where_, what)).second) {
      throw Error(where_, what + " is there twice");
    }
    const auto stored = bytes_.subspan(begin, cursor.position() - begin);
    uint32_t type = 0;
    std::memcpy(&type, stored.data(), sizeof type);
    stored_.emplace(key,
                    GgufStoredValue{static_cast<GgufValueType>(type), stored.subspan(sizeof type)});
  }
  std::vector<uint64_t> offsets;
  std::unordered_set<std::string_view> names;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    offsets.push_back(0);
    tensors_.push_back(read_tensor(cursor, where_, i, offsets.back()));
    if (!names.insert(tensors_.back().name).second) {
      throw Error(where_,
                  fmt::format("tensor {} is there twice", quoted_name(tensors_.back().name)));
    }
  }
  check_layout(cursor.position(), offsets);
}

void GgufFile::check_layout(uint64_t header_end, const std::vector<uint64_t>& offsets) {
  uint64_t alignment = kDefaultAlignment;
  if (const auto given = integer("general.alignment")) alignment = static_cast<uint64_t>(*given);
  if (!std::has_single_bit(alignment)) {
    throw Error(where_, fmt::format("general.alignment is {}; expected a power of two", alignment));
  }
  const auto align_up = [&](uint64_t value) { return (value + alignment - 1) & ~(alignment - 1); };
  const uint64_t data_begin = align_up(header_end);
  uint64_t position = 0;  // cannot overflow: every tensor before was inside the file
  for (size_t i = 0; i < tensors_.size(); ++i) {
    GgufTensor& tensor = tensors_[i];
    const std::string what = "tensor " + quoted_name(tensor.name);
    if (offsets[i] != position) {
      throw Error(where_, fmt::format("{} is at offset {}; expected {}, right after the tensor "
                                      "before it",
                                      what, offsets[i], position));
    }
    if (data_begin > bytes_.size() || position > bytes_.size() - data_begin ||
        tensor.bytes > bytes_.size() - data_begin - position) {
      throw Error(where_, fmt::format("{} is truncated: {} bytes at {} do not fit into the file's "
                                      "{}",
                                      what, tensor.bytes, data_begin + position, bytes_.size()));
    }
    tensor.data = bytes_.data() + data_begin + position;
    position = align_up(position + tensor.bytes);
  }
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

std::optional<std::string_view> GgufFile::text(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = std::get_if<std::string_view>(value)) return *text;
  throw Error(where_, fmt::format("key {} is not text", key));
}

std::optional<bool> GgufFile::boolean(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  throw Error(where_, fmt::format("key {} is not a boolean", key));
}

std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();
  if (const auto* number = std::get_if<uint64_t>(value); number != nullptr && *number <= kLargest) {
    return static_cast<int64_t>(*number);
  }
  if (const auto* number = std::get_if<int64_t>(value);
      number != nullptr && *number >= 0 && *number <= kLargest) {
    return *number;
  }
  throw Error(where_, fmt::format("key {} is not an integer from 0 to {}", key, kLargest));
}

std::optional<double> GgufFile::number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto* single = std::get_if<float>(value); single != nullptr && std::isfinite(*single)) {
    const std::string shortest = fmt::format("{}", *single);
    double result = 0;
    std::from_chars(shortest.data(), shortest.data() + shortest.size(), result);
    return result;
  }
  if (const auto* wide = std::get_if<double>(value); wide != nullptr && std::isfinite(*wide)) {
    return *wide;
  }
  throw Error(where_, fmt::format("key {} is not a finite floating-point number", key));
}

const GgufArray* GgufFile::array(std::string_view key, GgufValueType type,
                                 std::string_view expected) const {
  const GgufValue* value = find(key);
  if (value == nullptr) return nullptr;
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr || array->type != type) {
    throw Error(where_, fmt::format("key {} is not an array of {}", key, expected));
  }
  return array;
}

std::optional<std::vector<std::string>> GgufFile::texts(std::string_view key) const {
  const GgufArray* items = array(key, GgufValueType::kText, "texts");
  if (items == nullptr) return std::nullopt;
  Cursor cursor(items->items, where_);
  std::vector<std::string> result;
  result.reserve(items->count);  // every item was seen: at least 8 bytes of the file each
  for (uint64_t i = 0; i < items->count; ++i) result.emplace_back(cursor.text("an item"));
  return result;
}

std::optional<std::vector<float>> GgufFile::floats(std::string_view key) const {
  const GgufArray* items = array(key, GgufValueType::kF32, "float32");
  if (items == nullptr) return std::nullopt;
  std::vector<float> result(items->count);
  if (!result.empty()) std::memcpy(result.data(), items->items.data(), items->items.size());
  return result;
}

std::optional<std::vector<int32_t>> GgufFile::integers(std::string_view key) const {
  const GgufArray* items = array(key, GgufValueType::kI32, "int32");
  if (items == nullptr) return std::nullopt;
  std::vector<int32_t> result(items->count);
  if (!result.empty()) std::memcpy(result.data(), items->items.data(), items->items.size());
  return result;
}

}  // namespace scant
