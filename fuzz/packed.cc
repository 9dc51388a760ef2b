// A packed tensor: one line of JSON as in config.json, then the bytes of its parts. Whatever is
// accepted can be read to the last row without leaving its parts; whatever is not gives one line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "checkpoint/json_text.h"
#include "checkpoint/packed_folder.h"
#include "core/error.h"

namespace {

constexpr int64_t kMostWeights = 1 << 14;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Each part in memory of its own size, so that a byte too far is found.
using OwnedParts = std::array<std::vector<std::byte>, scant::kPackedParts>;

OwnedParts split(std::string_view bytes, const std::array<int64_t, scant::kPackedParts>& sizes) {
  OwnedParts parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto taken = bytes.substr(0, static_cast<size_t>(sizes[i]));
    bytes.remove_prefix(taken.size());
    const auto raw = std::as_bytes(std::span(taken));
    parts[i].assign(raw.begin(), raw.end());
    parts[i].resize(static_cast<size_t>(sizes[i]));  // a short input is filled up
  }
  return parts;
}

void check(std::string_view description, std::string_view bytes) {
  const auto entry =
      scant::packed_entry(scant::parse_json_object(description, "config.json"), "tensor");
  require(scant::packed_entry(nlohmann::json::parse(scant::packed_entry_json(entry).dump()), "")
              .spec.layout == entry.spec.layout);
  const scant::PackedSpec& spec = entry.spec;
  if (spec.cols > kMostWeights / spec.rows) return;
  const auto sizes = scant::packed_part_bytes(spec);
  int64_t total = 0;
  for (const int64_t size : sizes) total += size;
  require(total == spec.size().total());
  if (total > 8 * kMostWeights) return;  // one huge block
  const OwnedParts owned = split(bytes, sizes);
  scant::PackedMatrix::Parts parts;
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = owned[i];
  const scant::PackedMatrix matrix(spec, parts, nullptr);
  scant::Matrix row(1, matrix.cols());
  for (int64_t r = 0; r < matrix.rows(); ++r) matrix.unpack_rows(r, row.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  try {
    check(text.substr(0, line),
          line == std::string_view::npos ? std::string_view() : text.substr(line + 1));
  } catch (const scant::Error& error) {
    const std::string_view message = error.what();
    require(message.size() < 4000 && message.find('\n') == std::string_view::npos);
  }
  return 0;
}
