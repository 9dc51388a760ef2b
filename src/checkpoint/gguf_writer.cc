#include "checkpoint/gguf_writer.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <stdexcept>

#include "core/error.h"

namespace scant {
namespace {

static_assert(std::endian::native == std::endian::little, "values are stored as they are");

constexpr uint32_t kVersion = 3;
constexpr size_t kAlignment = 32;
constexpr size_t kLongestName = 63;  // readers keep a byte for the end
constexpr size_t kMostDimensions = 4;

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out.append(text);
}
template <typename T>
void put_all(std::string& out, std::span<const T> values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

void check_tensor(const GgufPlannedTensor& tensor) {
  const std::string where = "tensor " + tensor.name;
  if (tensor.name.empty() || tensor.name.size() > kLongestName) {
    throw Error(where, fmt::format("a name in GGUF has 1 to {} bytes", kLongestName));
  }
  if (tensor.shape.empty() || tensor.shape.size() > kMostDimensions) {
    throw Error(where, fmt::format("has shape {}; GGUF has 1 to {} dimensions",
                                   shape_text(tensor.shape), kMostDimensions));
  }
  if (tensor.shape.back() % tensor.type->elements != 0) {
    throw Error(where, fmt::format("has rows of {} values; {} needs a multiple of {}",
                                   tensor.shape.back(), tensor.type->name, tensor.type->elements));
  }
}

uint64_t padded(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void write_padding(OutputFile& file, uint64_t written) {
  static constexpr std::array<std::byte, kAlignment> kZeros{};
  file.write(std::span(kZeros).first(padded(written) - written));
}

}  // namespace

void GgufKeys::begin(std::string_view key, GgufValueType type) {
  if (!names_.emplace(key).second) throw std::logic_error("GGUF key twice: " + std::string(key));
  put_text(bytes_, key);
  put(bytes_, static_cast<uint32_t>(type));
}

void GgufKeys::text(std::string_view key, std::string_view value) {
  begin(key, GgufValueType::kText);
  put_text(bytes_, value);
}

void GgufKeys::u32(std::string_view key, uint64_t value) {
  begin(key, GgufValueType::kU32);
  put(bytes_, static_cast<uint32_t>(value));
}

void GgufKeys::f32(std::string_view key, double value) {
  begin(key, GgufValueType::kF32);
  put(bytes_, static_cast<float>(value));
}

void GgufKeys::boolean(std::string_view key, bool value) {
  begin(key, GgufValueType::kBool);
  put(bytes_, static_cast<uint8_t>(value));
}

void GgufKeys::texts(std::string_view key, std::span<const std::string> values) {
  begin(key, GgufValueType::kArray);
  put(bytes_, static_cast<uint32_t>(GgufValueType::kText));
  put(bytes_, static_cast<uint64_t>(values.size()));
  for (const std::string& value : values) put_text(bytes_, value);
}

void GgufKeys::floats(std::string_view key, std::span<const float> values) {
  begin(key, GgufValueType::kArray);
  put(bytes_, static_cast<uint32_t>(GgufValueType::kF32));
  put(bytes_, static_cast<uint64_t>(values.size()));
  put_all(bytes_, values);
}

void GgufKeys::integers(std::string_view key, std::span<const int32_t> values) {
  begin(key, GgufValueType::kArray);
  put(bytes_, static_cast<uint32_t>(GgufValueType::kI32));
  put(bytes_, static_cast<uint64_t>(values.size()));
  put_all(bytes_, values);
}

void GgufKeys::copy(std::string_view key, const GgufStoredValue& value) {
  begin(key, value.type);
  put_all(bytes_, value.bytes);
}

uint64_t GgufPlannedTensor::bytes() const {
  return static_cast<uint64_t>(element_count(shape)) / type->elements * type->bytes;
}

GgufWriter::GgufWriter(OutputFile& file, const GgufKeys& keys, std::vector<GgufPlannedTensor> plan)
    : file_(file), plan_(std::move(plan)) {
  std::string header = "GGUF";
  put(header, kVersion);
  put(header, static_cast<uint64_t>(plan_.size()));
  put(header, keys.count());
  header += keys.bytes();
  uint64_t offset = 0;
  for (const GgufPlannedTensor& tensor : plan_) {
    check_tensor(tensor);
    put_text(header, tensor.name);
    put(header, static_cast<uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent) {
      put(header, static_cast<uint64_t>(*extent));
    }
    put(header, tensor.type->id);
    put(header, offset);
    offset += padded(tensor.bytes());
  }
  file_.write(header);
  write_padding(file_, header.size());
}

void GgufWriter::end_tensor() {
  if (left_ != 0) throw std::logic_error("GGUF tensor without all its data");
  if (next_ > 0) write_padding(file_, plan_[next_ - 1].bytes());
}

void GgufWriter::begin_tensor(std::string_view name) {
  end_tensor();
  if (next_ == plan_.size() || plan_[next_].name != name) {
    throw std::logic_error("GGUF tensor out of order: " + std::string(name));
  }
  left_ = plan_[next_++].bytes();
}

void GgufWriter::append(std::span<const std::byte> bytes) {
  if (bytes.size() > left_) throw std::logic_error("GGUF tensor with too much data");
  file_.write(bytes);
  left_ -= bytes.size();
  total_bytes_ += bytes.size();
}

void GgufWriter::finish() {
  end_tensor();
  if (next_ != plan_.size()) throw std::logic_error("GGUF file without all its tensors");
}

}  // namespace scant
