#include "compress/compressed_layer.h"

#include <cmath>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "compress/packed_output.h"

namespace scant {
namespace {

using Json = nlohmann::json;

/// In front of the values; a file of this machine for this machine.
struct Header {
  int64_t rows, cols, kept;
  MatrixError error;
  double output_error;  // NaN: none
};
static_assert(std::is_trivially_copyable_v<Header>);

/// A packed matrix as one CBOR value: its description and its parts.
void append_parts(const PackedMatrix& matrix, std::string& content) {
  const PackedSpec& spec = matrix.spec();
  Json json;
  json["entry"] = Json::parse(packed_entry_json({spec, {spec.rows, spec.cols}}).dump());
  for (size_t i = 0; i < kPackedParts; ++i) {
    const auto part = matrix.part(static_cast<PackedPart>(i));
    const auto* bytes = reinterpret_cast<const uint8_t*>(part.data());
    json["parts"].push_back(Json::binary({bytes, bytes + part.size()}));
  }
  Json::to_cbor(json, content);
}

PackedMatrix unpacked_parts(std::string_view content) {
  const auto json = std::make_shared<const Json>(Json::from_cbor(content));
  const PackedEntry entry = packed_entry(json->at("entry"), "finished layer");
  PackedMatrix::Parts parts;
  for (size_t i = 0; i < kPackedParts; ++i) {
    parts[i] = std::as_bytes(std::span(json->at("parts").at(i).get_binary()));
  }
  return {entry.spec, parts, json};
}

}  // namespace

CompressedLayer CompressedLayer::from(CompressedMatrix matrix, const PackedSpec* packing) {
  CompressedLayer layer;
  if (packing != nullptr) layer.packed = pack_compressed(matrix, *packing);
  layer.kept = matrix.mask ? matrix.mask->kept() : matrix.values.size();
  layer.values = std::move(matrix.values);
  layer.error = matrix.error;
  layer.output_error = matrix.output_error;
  return layer;
}

std::optional<CompressedLayer> LayerStore::find(const std::string& layer, int64_t rows,
                                                int64_t cols) const {
  const auto content = store_.find(job_ + "\tlayer=" + layer);
  Header header;
  if (!content || content->size() < sizeof header) return std::nullopt;
  std::memcpy(&header, content->data(), sizeof header);
  const size_t bytes = static_cast<size_t>(rows * cols) * sizeof(float);
  if (header.rows != rows || header.cols != cols || content->size() < sizeof header + bytes) {
    return std::nullopt;
  }
  CompressedLayer result;
  result.values = Matrix(rows, cols);
  std::memcpy(result.values.data(), content->data() + sizeof header, bytes);
  result.error = header.error;
  if (!std::isnan(header.output_error)) result.output_error = header.output_error;
  result.kept = header.kept;
  const std::string_view rest = std::string_view(*content).substr(sizeof header + bytes);
  if (packs_ != !rest.empty()) return std::nullopt;
  if (packs_) result.packed = unpacked_parts(rest);
  return result;
}

void LayerStore::put(const std::string& layer, const CompressedLayer& result) const {
  const Header header{result.values.rows(), result.values.cols(), result.kept, result.error,
                      result.output_error.value_or(std::nan(""))};
  std::string content(reinterpret_cast<const char*>(&header), sizeof header);
  content.append(reinterpret_cast<const char*>(result.values.data()),
                 static_cast<size_t>(result.values.size()) * sizeof(float));
  if (result.packed) append_parts(*result.packed, content);
  store_.put(job_ + "\tlayer=" + layer, content);
}

std::optional<RefitResult> LayerStore::find_refit(const std::string& stage) const {
  const auto content = store_.find(job_ + "\trefit=" + stage);
  if (!content) return std::nullopt;
  const Json json = Json::from_cbor(*content, true, false);
  if (json.is_discarded()) return std::nullopt;
  return RefitResult{json.at("before"), json.at("after"), json.at("vectors")};
}

void LayerStore::put_refit(const std::string& stage, const RefitResult& result) const {
  std::string content;
  Json::to_cbor({{"before", result.before}, {"after", result.after}, {"vectors", result.vectors}},
                content);
  store_.put(job_ + "\trefit=" + stage, content);
}

}  // namespace scant
