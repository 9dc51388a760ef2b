#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace scant {

/// Results kept by what they were made from: a folder of small files, each named by the fingerprint
/// of its key. The key spells everything that the result depends on (weights, recipe, statistics,
/// version), so a result that is found is the right one, and nothing ever has to be invalidated.
/// Entries appear whole or not at all; a damaged one counts as absent.
class ContentStore {
 public:
  /// Creates the folder if needed. Throws Error naming it if that fails.
  explicit ContentStore(std::string folder);

  std::optional<std::string> find(std::string_view key) const;
  /// Throws Error if the entry cannot be written.
  void put(std::string_view key, std::string_view content) const;
  const std::string& folder() const { return folder_; }

 private:
  std::string path_of(std::string_view key) const;
  std::string folder_;
};

}  // namespace scant
