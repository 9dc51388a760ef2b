// The safetensors header and the shard index: refused with one line, or consistent.
#include "checkpoint/safetensors.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/huggingface_folder.h"
#include "core/error.h"

namespace {

void require(bool condition) {
  if (!condition) __builtin_trap();
}

void check_line(const scant::Error& error) {
  const std::string_view text = error.what();
  require(text.starts_with("input: ") && text.find('\n') == std::string_view::npos);
}

void read_file(std::span<const std::byte> file) {
  const scant::SafetensorsHeader header = scant::parse_safetensors(file, "input");
  uint64_t position = 0;
  for (const scant::SafetensorsEntry& entry : header.entries) {
    require(entry.begin == position && entry.end >= entry.begin);
    position = entry.end;
    if (!entry.dtype || !scant::is_weight_dtype(*entry.dtype)) continue;
    std::vector<float> values(static_cast<size_t>(scant::element_count(entry.shape)));
    require(values.size() * scant::dtype_size(*entry.dtype) == entry.end - entry.begin);
    scant::widen(file.data() + header.data_begin + entry.begin, *entry.dtype, values);
  }
  require(header.data_begin + position == file.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span input(data, size);
  try {
    read_file(std::as_bytes(input));
  } catch (const scant::Error& error) {
    check_line(error);
  }
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    require(!scant::parse_shard_index(text, "input").empty());
  } catch (const scant::Error& error) {
    check_line(error);
  }
  return 0;
}
