#include "checkpoint/vector_file.h"

#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "checkpoint/safetensors.h"
#include "core/atomic_write.h"
#include "core/error.h"
#include "core/file_map.h"

namespace scant {

void write_vectors(const std::string& path, const NamedVectors& vectors) {
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  size_t position = 0;
  for (const auto& [name, values] : vectors) {
    const size_t end = position + values.size() * sizeof(float);
    header[name] = {
        {"dtype", "F32"}, {"shape", {values.size()}}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data are aligned
  const uint64_t length = text.size();
  OutputFile file(path);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(text);
  for (const auto& [name, values] : vectors) file.write(std::as_bytes(std::span(values)));
  file.close();
}

NamedVectors read_vectors(const std::string& path) {
  const FileMap map(path);
  const SafetensorsHeader header = parse_safetensors(map.bytes(), path);
  NamedVectors vectors;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.dtype != DType::kF32 || entry.shape.size() != 1) {
      throw Error(path, fmt::format("tensor {} is {} of shape {}; expected a vector of F32",
                                    entry.name, entry.type, shape_text(entry.shape)));
    }
    std::vector<float> values(static_cast<size_t>(entry.shape[0]));
    std::memcpy(values.data(), map.bytes().data() + header.data_begin + entry.begin,
                values.size() * sizeof(float));
    vectors.emplace(entry.name, std::move(values));
  }
  return vectors;
}

}  // namespace scant
