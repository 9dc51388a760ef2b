#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace scant {

/// Reads what a script of tests/external wrote: little-endian numbers, texts with their length in
/// front, float32 matrices. Throws std::runtime_error where the file ends too soon.
class GoldenFile {
 public:
  GoldenFile(const std::string& path, const std::string& magic) : path_(path) {
    std::ifstream file(path, std::ios::binary);
    content_.assign(std::istreambuf_iterator<char>(file), {});
    if (bytes(magic.size()) != magic) throw std::runtime_error(path + ": wrong magic");
  }

  std::string bytes(size_t size) {
    if (size > content_.size() - at_) throw std::runtime_error(path_ + ": cut off");
    at_ += size;
    return {content_.data() + at_ - size, size};
  }
  uint32_t number() {
    uint32_t value = 0;
    std::memcpy(&value, bytes(4).data(), 4);
    return value;
  }
  std::string text() { return bytes(number()); }
  Matrix matrix(int64_t rows, int64_t cols) {
    Matrix values(rows, cols);
    const std::string data = bytes(values.values().size_bytes());
    std::memcpy(values.data(), data.data(), data.size());
    return values;
  }
  void require_end() const {
    if (at_ != content_.size()) throw std::runtime_error(path_ + ": bytes left over");
  }

 private:
  std::string path_;
  std::vector<char> content_;
  size_t at_ = 0;
};

}  // namespace scant
