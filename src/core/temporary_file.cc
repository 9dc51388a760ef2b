#include "core/temporary_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace scant {
namespace {

[[noreturn]] void fail(const std::string& beside, const char* what) {
  throw Error(beside, std::string("the temporary file beside it cannot be ") + what + ": " +
                          std::strerror(errno));
}

}  // namespace

TemporaryFile::TemporaryFile(const std::string& beside) : beside_(beside) {
  std::string name = beside + ".temporary-XXXXXX";
  descriptor_ = ::mkstemp(name.data());
  if (descriptor_ < 0) fail(beside_, "created");
  ::unlink(name.c_str());
}

TemporaryFile::~TemporaryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : beside_(std::move(other.beside_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
  std::swap(beside_, other.beside_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void TemporaryFile::write(size_t position, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) fail(beside_, "written");
    bytes = bytes.subspan(static_cast<size_t>(count));
    position += static_cast<size_t>(count);
  }
}

void TemporaryFile::read(size_t position, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count =
        ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(beside_, "read");
    if (count == 0) throw Error(beside_, "the temporary file beside it is shorter than expected");
    bytes = bytes.subspan(static_cast<size_t>(count));
    position += static_cast<size_t>(count);
  }
}

}  // namespace scant
