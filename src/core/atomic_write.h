#pragma once

#include <cstddef>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace scant {

/// A file written in order, with every error reported. Flushed to disk by close().
class OutputFile {
 public:
  /// Throws Error naming `path` if it cannot be created.
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Replaces bytes that were written before, for headers that are known last.
  void overwrite(size_t position, std::string_view text);
  size_t position() const { return position_; }
  /// Writes what is buffered, syncs and closes; throws Error (for example when the disk is full).
  void close();

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
  size_t position_ = 0;
};

/// A folder that appears whole or not at all: it is written as `PATH.partial-PID` beside PATH and
/// renamed by commit(); without a commit the partial folder is removed. Partial folders that a
/// killed run of the same PATH left behind (their process is gone) are removed at the start.
class AtomicFolder {
 public:
  /// Throws Error if `path` exists and is not an empty folder (unless `overwrite` is set, when
  /// the old folder is replaced at commit), or if its parent cannot be written.
  explicit AtomicFolder(const std::string& path, bool overwrite = false);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  /// Where a file of this name is to be written now.
  std::string file(const std::string& name) const { return partial_ + "/" + name; }
  const std::string& partial() const { return partial_; }
  void commit();

 private:
  std::string path_;
  std::string partial_;
  bool overwrite_;
  bool committed_ = false;
};

/// A large file that appears whole or not at all, written in order: the same for one file.
class AtomicFile {
 public:
  /// Throws Error if `path` is a folder, or exists and `overwrite` is not set, or cannot be
  /// created.
  explicit AtomicFile(const std::string& path, bool overwrite = false);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  OutputFile& out() { return *out_; }
  /// Closes and renames.
  void commit();

 private:
  std::string path_;
  std::string partial_;
  std::optional<OutputFile> out_;
  bool committed_ = false;
};

/// Copies the file NAME of the folder `source`. Throws Error if it cannot be read or written.
void copy_file(const std::string& source, const std::string& name, const AtomicFolder& folder);

/// One small file, whole or not at all.
void write_file_atomic(const std::string& path, std::string_view content);

}  // namespace scant
