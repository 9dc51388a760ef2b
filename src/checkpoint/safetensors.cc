#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {

static_assert(std::endian::native == std::endian::little, "data is used as it is mapped");

constexpr size_t kMostDimensions = 64;

struct StoredType {
  std::string_view name;
  uint64_t bits;
};
/// All types of the format; those that core knows as a DType can also be read.
constexpr std::array kStoredTypes = {
    StoredType{"BOOL", 8},    StoredType{"F4", 4},      StoredType{"F6_E2M3", 6},
    StoredType{"F6_E3M2", 6}, StoredType{"U8", 8},      StoredType{"I8", 8},
    StoredType{"F8_E5M2", 8}, StoredType{"F8_E4M3", 8}, StoredType{"F8_E8M0", 8},
    StoredType{"I16", 16},    StoredType{"U16", 16},    StoredType{"F16", 16},
    StoredType{"BF16", 16},   StoredType{"I32", 32},    StoredType{"U32", 32},
    StoredType{"F32", 32},    StoredType{"C64", 64},    StoredType{"F64", 64},
    StoredType{"I64", 64},    StoredType{"U64", 64},
};

/// Receives the header's JSON events and keeps only what the format allows, so that no document is
/// built: memory stays in proportion to the tensors that are really described.
class HeaderReader {
 public:
  explicit HeaderReader(const std::string& where) : where_(where) {}

  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;

  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("true or false"); }
  bool number_integer(int64_t value) { unexpected(fmt::format("the number {}", value)); }
  bool number_float(double, const std::string&) { unexpected("a number that is not an integer"); }
  bool binary(nlohmann::json::binary_t&) { unexpected("binary data"); }

  bool number_unsigned(uint64_t value) {
    if (place_ == Place::kShape) {
      if (entries.back().shape.size() == kMostDimensions) {
        fail(fmt::format("has more than {} dimensions", kMostDimensions));
      }
      if (value > std::numeric_limits<int64_t>::max()) {
        fail(fmt::format("has a dimension of {}; expected less than 2^63", value));
      }
      entries.back().shape.push_back(static_cast<int64_t>(value));
    } else if (place_ == Place::kOffsets) {
      if (offsets_ == 2) fail("has more than two data_offsets");
      (offsets_++ == 0 ? entries.back().begin : entries.back().end) = value;
    } else {
      unexpected(fmt::format("the number {}", value));
    }
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::kMetadata) {
      metadata[key_] = value;
    } else if (place_ == Place::kTensor && key_ == "dtype") {
      entries.back().type = value;
    } else {
      unexpected("text " + quoted_name(value));
    }
    return true;
  }

  bool key(std::string& name) {
    key_ = name;
    if (place_ != Place::kTensor) return true;
    const auto field = std::ranges::find(kFields, name);
    if (field == kFields.end()) fail(fmt::format("has an unknown field {}", quoted_name(name)));
    const unsigned bit = 1u << (field - kFields.begin());
    if ((seen_ & bit) != 0) fail(fmt::format("has {} twice", name));
    seen_ |= bit;
    return true;
  }

  bool start_object(size_t) {
    if (place_ == Place::kStart) {
      place_ = Place::kNames;
    } else if (place_ == Place::kNames && key_ == "__metadata__") {
      if (has_metadata_) throw Error(where_, "has __metadata__ twice");
      has_metadata_ = true;
      place_ = Place::kMetadata;
    } else if (place_ == Place::kNames) {
      entries.push_back({.name = key_});
      seen_ = 0;
      offsets_ = 0;
      place_ = Place::kTensor;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool end_object() {
    if (place_ == Place::kTensor && seen_ != 7u) fail("lacks one of dtype, shape, data_offsets");
    place_ = place_ == Place::kNames ? Place::kEnd : Place::kNames;
    return true;
  }

  bool start_array(size_t) {
    if (place_ == Place::kTensor && key_ == "shape") {
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && key_ == "data_offsets") {
      place_ = Place::kOffsets;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool end_array() {
    if (place_ == Place::kOffsets && offsets_ != 2) fail("has fewer than two data_offsets");
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    throw Error(where_, fmt::format("header is not valid JSON at byte {}", position));
  }

 private:
  enum class Place { kStart, kNames, kMetadata, kTensor, kShape, kOffsets, kEnd };
  static constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(where_, fmt::format("tensor {} {}", quoted_name(entries.back().name), problem));
  }

  [[noreturn]] void unexpected(const std::string& what) const {
    if (place_ == Place::kStart) throw Error(where_, "header is not a JSON object");
    if (place_ == Place::kNames || place_ == Place::kMetadata) {
      throw Error(where_, fmt::format("header entry {} is {}; expected {}", quoted_name(key_), what,
                                      place_ == Place::kNames ? "an object" : "text"));
    }
    fail(fmt::format("has {} in {}", what, quoted_name(key_)));
  }

  const std::string& where_;
  Place place_ = Place::kStart;
  std::string key_;
  unsigned seen_ = 0;  ///< bit i: kFields[i]
  int offsets_ = 0;
  bool has_metadata_ = false;
};

[[noreturn]] void fail(const std::string& where, const SafetensorsEntry& entry,
                       const std::string& problem) {
  throw Error(where, fmt::format("tensor {} {}", quoted_name(entry.name), problem));
}

/// Bytes that the shape and type need. Extents of zero count as one in the overflow check, so that
/// products over some of the extents are safe as well.
uint64_t bytes_needed(const std::string& where, const SafetensorsEntry& entry) {
  const auto type = std::ranges::find(kStoredTypes, entry.type, &StoredType::name);
  if (type == kStoredTypes.end()) {
    fail(where, entry, fmt::format("has the unknown dtype {}", quoted_name(entry.type)));
  }
  uint64_t bits = type->bits;
  bool empty = false;
  for (const int64_t extent : entry.shape) {
    empty |= extent == 0;
    if (extent != 0 && __builtin_mul_overflow(bits, static_cast<uint64_t>(extent), &bits)) {
      bits = std::numeric_limits<uint64_t>::max();
      break;
    }
  }
  if (bits > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    fail(where, entry, fmt::format("of shape {} is absurdly large", shape_text(entry.shape)));
  }
  if (empty) return 0;
  if (bits % 8 != 0) {
    fail(where, entry,
         fmt::format("of {} {} does not fill whole bytes", entry.type, shape_text(entry.shape)));
  }
  return bits / 8;
}

void validate(const std::string& where, uint64_t data_size,
              const std::vector<SafetensorsEntry>& entries) {
  std::unordered_set<std::string_view> names;
  const SafetensorsEntry* previous = nullptr;
  uint64_t position = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.name.empty()) throw Error(where, "has a tensor without a name");
    if (!names.insert(entry.name).second) fail(where, entry, "is there twice");
    const uint64_t needed = bytes_needed(where, entry);
    if (entry.begin > entry.end || entry.end - entry.begin != needed) {
      fail(where, entry,
           fmt::format("of {} {} needs {} bytes; its data_offsets are [{}, {}]", entry.type,
                       shape_text(entry.shape), needed, entry.begin, entry.end));
    }
    if (entry.begin < position) {
      fail(where, entry,
           fmt::format("overlaps tensor {}: its data begin at {}, before {}",
                       quoted_name(previous->name), entry.begin, position));
    }
    if (entry.begin > position) {
      fail(where, entry,
           fmt::format("begins at {} after a hole of {} bytes; tensors must be back "
                       "to back",
                       entry.begin, entry.begin - position));
    }
    if (entry.end > data_size) {
      fail(where, entry,
           fmt::format("is truncated: its data end at byte {}, the file's data at {}", entry.end,
                       data_size));
    }
    position = entry.end;
    previous = &entry;
  }
  if (position != data_size) {
    throw Error(where, fmt::format("has {} bytes after its last tensor; expected none",
                                   data_size - position));
  }
}

}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  uint64_t length = 0;
  if (file.size() < sizeof length) {
    throw Error(where, fmt::format("is truncated: {} bytes are no safetensors file", file.size()));
  }
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kSafetensorsHeaderLimit) {
    throw Error(where, fmt::format("claims a header of {} bytes; expected at most {}, so this is "
                                   "no safetensors file",
                                   length, kSafetensorsHeaderLimit));
  }
  if (length > file.size() - sizeof length) {
    throw Error(where, fmt::format("is truncated: its header has {} bytes, the file {}", length,
                                   file.size()));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + sizeof length,
                              static_cast<size_t>(length));
  // The JSON parser would skip a byte order mark and stop at a zero byte; the format has neither.
  if (!text.starts_with('{') || text.find('\0') != std::string_view::npos) {
    throw Error(where, "header is not JSON text that begins with \"{\"");
  }
  HeaderReader reader(where);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);

  SafetensorsHeader header{std::move(reader.entries), std::move(reader.metadata),
                           sizeof length + static_cast<size_t>(length)};
  std::ranges::sort(header.entries, [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  validate(where, file.size() - header.data_begin, header.entries);
  for (SafetensorsEntry& entry : header.entries) entry.dtype = parse_dtype(entry.type);
  return header;
}

}  // namespace scant
