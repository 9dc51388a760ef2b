#pragma once

// Files that the tests of this module make.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace scant {

/// An empty folder for one test.
inline std::string fresh_folder(const std::string& name) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / ("scant_checkpoint_test_" + name);
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}

inline void put(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
}

/// The bytes of a safetensors file with this header text.
inline std::string safetensors_bytes(std::string_view header, std::string_view data = {}) {
  const uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(header).append(data);
}

inline std::string float_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

/// Builds GGUF files, well-formed or not, field by field.
class GgufBuilder {
 public:
  template <typename T>
  static std::string number(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  static std::string text(std::string_view value) {
    return number<uint64_t>(value.size()).append(value);
  }

  /// A key with a value that is already encoded.
  GgufBuilder& key(std::string_view name, uint32_t type, const std::string& value) {
    keys_ += text(name) + number(type) + value;
    ++key_count;
    return *this;
  }
  GgufBuilder& u32(std::string_view name, uint32_t value) { return key(name, 4, number(value)); }
  GgufBuilder& f32(std::string_view name, float value) { return key(name, 6, number(value)); }
  GgufBuilder& str(std::string_view name, std::string_view value) {
    return key(name, 8, text(value));
  }
  GgufBuilder& array(std::string_view name, uint32_t type, uint64_t count,
                     const std::string& items) {
    return key(name, 9, number(type) + number(count) + items);
  }

  /// A tensor with extents innermost first; its data follow those of the tensor before it unless
  /// `offset` says otherwise.
  GgufBuilder& tensor(std::string_view name, const std::vector<uint64_t>& extents, uint32_t type,
                      const std::string& data, std::optional<uint64_t> offset = {}) {
    tensors_ += text(name) + number(static_cast<uint32_t>(extents.size()));
    for (const uint64_t extent : extents) tensors_ += number(extent);
    tensors_ += number(type) + number(offset.value_or(data_.size()));
    data_ += data;
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    ++tensor_count;
    return *this;
  }
  GgufBuilder& floats(std::string_view name, const std::vector<uint64_t>& extents,
                      const std::vector<float>& values) {
    return tensor(name, extents, 0, float_bytes(values));
  }

  std::string bytes() const {
    std::string file =
        "GGUF" + number(version) + number(tensor_count) + number(key_count) + keys_ + tensors_;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

  uint32_t version = 3;
  uint64_t tensor_count = 0;
  uint64_t key_count = 0;
  size_t alignment = 32;

 private:
  std::string keys_, tensors_, data_;
};

/// What the Error says that `action` throws; "" (and a failed test) if it throws none.
inline std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  }
  ADD_FAILURE() << "expected an Error";
  return "";
}

}  // namespace scant
