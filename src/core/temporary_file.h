#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace scant {

/// Bytes on disk instead of in memory. The file lies beside a given path so that it is on the disk
/// that the user chose, and has no name from the start: the system takes it back when the object
/// or the process ends, whatever ended it.
class TemporaryFile {
 public:
  /// Throws Error naming `beside` if nothing can be created in its folder.
  explicit TemporaryFile(const std::string& beside);
  ~TemporaryFile();
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&& other) noexcept;

  /// Any position; the file grows. Thread-safe for ranges that do not overlap. Throws Error, for
  /// example when the disk is full.
  void write(size_t position, std::span<const std::byte> bytes);
  /// Throws Error if less was written there.
  void read(size_t position, std::span<std::byte> bytes) const;

 private:
  std::string beside_;
  int descriptor_ = -1;
};

}  // namespace scant
