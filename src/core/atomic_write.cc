#include "core/atomic_write.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& path, const char* action) {
  throw Error(path, std::string("cannot be ") + action + ": " + std::strerror(errno));
}

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

/// Makes the rename itself durable.
void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

void remove_abandoned(const std::string& path) {
  const fs::path target(path);
  const fs::path parent = target.parent_path().empty() ? "." : target.parent_path();
  const std::string prefix = target.filename().string() + ".partial-";
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    const long pid = std::strtol(name.c_str() + prefix.size(), nullptr, 10);
    if (pid > 0 && ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) {
      fs::remove_all(entry.path(), ignored);
    }
  }
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path) {
  file_ = std::fopen(path.c_str(), "wbx");
  if (file_ == nullptr) fail(path, "created");
}

OutputFile::~OutputFile() {
  if (file_ != nullptr) std::fclose(file_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) fail(path_, "written");
  position_ += bytes.size();
}

void OutputFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void OutputFile::overwrite(size_t position, std::string_view text) {
  const bool done = ::fseeko(file_, static_cast<off_t>(position), SEEK_SET) == 0 &&
                    std::fwrite(text.data(), 1, text.size(), file_) == text.size() &&
                    ::fseeko(file_, 0, SEEK_END) == 0;
  if (!done) fail(path_, "written");
}

void OutputFile::close() {
  std::FILE* file = std::exchange(file_, nullptr);
  const bool flushed = std::fflush(file) == 0 && ::fsync(::fileno(file)) == 0;
  const int reason = errno;
  const bool closed = std::fclose(file) == 0;
  if (!flushed) errno = reason;
  if (!flushed || !closed) fail(path_, "written");
}

AtomicFolder::AtomicFolder(const std::string& path, bool overwrite)
    : path_(without_trailing_slash(path)),
      partial_(path_ + ".partial-" + std::to_string(::getpid())),
      overwrite_(overwrite) {
  std::error_code error;
  if (!overwrite && fs::exists(path_, error) &&
      !(fs::is_directory(path_, error) && fs::is_empty(path_, error))) {
    throw Error(path_, "already exists; expected a new folder (or --force to replace it)");
  }
  remove_abandoned(path_);
  fs::remove_all(partial_, error);
  fs::create_directories(partial_, error);
  if (error) throw Error(path_, "cannot be created: " + error.message());
}

AtomicFolder::~AtomicFolder() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(partial_, ignored);
}

void AtomicFolder::commit() {
  std::error_code error;
  std::string old;
  if (fs::exists(path_, error)) {
    if (overwrite_) {
      old = path_ + ".old-" + std::to_string(::getpid());
      fs::rename(path_, old, error);
    } else {
      fs::remove(path_, error);  // the empty folder seen at the start
    }
    if (error) throw Error(path_, "cannot be replaced: " + error.message());
  }
  fs::rename(partial_, path_, error);
  if (error) {
    std::error_code ignored;
    if (!old.empty()) fs::rename(old, path_, ignored);
    throw Error(path_, "cannot be created: " + error.message());
  }
  committed_ = true;
  if (!old.empty()) fs::remove_all(old, error);
  sync_folder(fs::path(path_).parent_path());
}

AtomicFile::AtomicFile(const std::string& path, bool overwrite)
    : path_(path), partial_(path + ".partial-" + std::to_string(::getpid())) {
  std::error_code error;
  if (fs::is_directory(path_, error)) {
    throw Error(path_, "is a folder; expected the name of a file to write");
  }
  if (!overwrite && fs::exists(path_, error)) {
    throw Error(path_, "already exists; expected a new file (or --force to replace it)");
  }
  remove_abandoned(path_);
  const fs::path parent = fs::path(path_).parent_path();
  if (!parent.empty() && !fs::create_directories(parent, error) && error) {
    throw Error(path_, "cannot be created: " + error.message());
  }
  fs::remove(partial_, error);
  out_.emplace(partial_);
}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  out_.reset();
  std::error_code ignored;
  fs::remove(partial_, ignored);
}

void AtomicFile::commit() {
  out_->close();
  std::error_code error;
  fs::rename(partial_, path_, error);
  if (error) throw Error(path_, "cannot be created: " + error.message());
  committed_ = true;
  sync_folder(fs::path(path_).parent_path());
}

void copy_file(const std::string& source, const std::string& name, const AtomicFolder& folder) {
  const FileMap original(source + "/" + name);
  OutputFile copy(folder.file(name));
  copy.write(original.bytes());
  copy.close();
}

void write_file_atomic(const std::string& path, std::string_view content) {
  const std::string partial = path + ".partial-" + std::to_string(::getpid());
  std::error_code error;
  fs::remove(partial, error);
  try {
    OutputFile file(partial);
    file.write(content);
    file.close();
    fs::rename(partial, path, error);
    if (error) throw Error(path, "cannot be created: " + error.message());
  } catch (...) {
    fs::remove(partial, error);
    throw;
  }
}

}  // namespace scant
