#pragma once

#include <map>
#include <string>
#include <vector>

namespace scant {

/// Named float32 vectors in one safetensors file: what a compressed model carries besides weights.
using NamedVectors = std::map<std::string, std::vector<float>, std::less<>>;

/// Writes the whole file. Throws Error if it cannot be written.
void write_vectors(const std::string& path, const NamedVectors& vectors);

/// Throws Error naming file and tensor if the file is not as safetensors demands, or if a tensor is
/// not an F32 vector.
NamedVectors read_vectors(const std::string& path);

}  // namespace scant
