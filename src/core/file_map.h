#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace scant {

/// A file mapped read-only. Pages are read when touched and may be dropped by the system, so they
/// do not count as the program's own memory.
class FileMap {
 public:
  FileMap() = default;
  /// Throws Error naming `path` if it cannot be opened or mapped. An empty file maps to no bytes.
  explicit FileMap(const std::string& path);
  ~FileMap();
  FileMap(FileMap&& other) noexcept;
  FileMap& operator=(FileMap&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// The whole of a small file (configuration, text). Throws Error if it cannot be read or is larger
/// than `limit` bytes.
std::string read_file(const std::string& path, size_t limit = size_t{1} << 31);

}  // namespace scant
