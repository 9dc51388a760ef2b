#include "core/content_store.h"

#include <filesystem>

#include "core/atomic_write.h"
#include "core/error.h"
#include "core/file_map.h"
#include "core/hash.h"

namespace scant {
namespace {

// An entry is three parts, a line each: the fingerprint of the rest, the key, the content.
constexpr std::string_view kSuffix = ".entry";

std::string rest_of_entry(std::string_view key, std::string_view content) {
  return std::string(key) + "\n" + std::string(content);
}

}  // namespace

ContentStore::ContentStore(std::string folder) : folder_(std::move(folder)) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) throw Error(folder_, "cannot be created: " + error.message());
}

std::string ContentStore::path_of(std::string_view key) const {
  return folder_ + "/" + fingerprint(key) + std::string(kSuffix);
}

std::optional<std::string> ContentStore::find(std::string_view key) const {
  const std::string path = path_of(key);
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return std::nullopt;
  const std::string entry = read_file(path);
  const size_t line = entry.find('\n');
  if (line == std::string::npos) return std::nullopt;
  const std::string_view rest = std::string_view(entry).substr(line + 1);
  if (entry.substr(0, line) != fingerprint(rest)) return std::nullopt;
  if (!rest.starts_with(key) || rest.substr(key.size(), 1) != "\n") return std::nullopt;
  return std::string(rest.substr(key.size() + 1));
}

void ContentStore::put(std::string_view key, std::string_view content) const {
  if (key.find('\n') != std::string_view::npos) {
    throw Error(folder_, "a key of the store must be one line");
  }
  const std::string rest = rest_of_entry(key, content);
  write_file_atomic(path_of(key), fingerprint(rest) + "\n" + rest);
}

}  // namespace scant
