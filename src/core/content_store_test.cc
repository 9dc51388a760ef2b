#include "core/content_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/hash.h"

namespace scant {
namespace {

std::string empty_folder(const std::string& name) {
  const auto path = std::filesystem::temp_directory_path() / ("scant_store_" + name);
  std::filesystem::remove_all(path);
  return path.string();
}

TEST(ContentStore, GivesBackWhatWasPutUnderTheSameKeyOnly) {
  const ContentStore store(empty_folder("same_key"));
  EXPECT_FALSE(store.find("weights=a recipe=b"));
  store.put("weights=a recipe=b", "line one\nline two\n");
  EXPECT_EQ(store.find("weights=a recipe=b"), "line one\nline two\n");
  EXPECT_FALSE(store.find("weights=a recipe=c"));
  EXPECT_EQ(ContentStore(store.folder()).find("weights=a recipe=b"), "line one\nline two\n");
}

TEST(ContentStore, ADamagedOrTruncatedEntryCountsAsAbsent) {
  const ContentStore store(empty_folder("damaged"));
  store.put("key", "the figures of a cell");
  const auto file = std::filesystem::directory_iterator(store.folder())->path();
  for (const uintmax_t size : {uintmax_t{0}, uintmax_t{20}, std::filesystem::file_size(file) - 1}) {
    std::filesystem::resize_file(file, size);
    EXPECT_FALSE(store.find("key")) << size;
    store.put("key", "the figures of a cell");
  }
  std::fstream(file, std::ios::in | std::ios::out).seekp(40) << "X";
  EXPECT_FALSE(store.find("key"));
}

TEST(ContentStore, AFolderThatCannotBeMadeIsNamed) {
  const std::string file = empty_folder("file");
  std::ofstream(file) << "not a folder";
  EXPECT_THROW(ContentStore(file + "/store"), Error);
  std::filesystem::remove(file);
}

TEST(Hasher, TellsPiecesApartAndIsThePublishedXxh3) {
  EXPECT_NE(Hasher().add("ab").add("c").hex(), Hasher().add("a").add("bc").hex());
  // XXH3 of no bytes at seed 0, from the specification's own test vectors.
  EXPECT_EQ(Hasher().hex(), "99aa06d3014798d86001c324468d497f");
}

}  // namespace
}  // namespace scant
