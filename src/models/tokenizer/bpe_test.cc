#include "models/tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "core/random.h"

namespace scant {
namespace {

using ::testing::ElementsAre;

/// Tokens a, b, c, d and what random merges make of them.
BpeSpec random_spec(uint64_t seed, int merges) {
  const CounterRandom random(seed, 0);
  BpeSpec spec;
  spec.tokens = {"a", "b", "c", "d"};
  for (uint64_t i = 0; static_cast<int>(spec.merges.size()) < merges; i += 2) {
    const auto size = static_cast<uint32_t>(spec.tokens.size());
    const auto left = static_cast<int32_t>(random.below(i, size));
    const auto right = static_cast<int32_t>(random.below(i + 1, size));
    const std::string result =
        spec.tokens[static_cast<size_t>(left)] + spec.tokens[static_cast<size_t>(right)];
    const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), result);
    const auto id = static_cast<int32_t>(found - spec.tokens.begin());
    if (found == spec.tokens.end()) spec.tokens.push_back(result);
    spec.merges.push_back({left, right, id});
  }
  return spec;
}

/// The definition: again and again the leftmost pair of the lowest rank.
std::vector<int32_t> merged_by_definition(const BpeSpec& spec, const std::string& word) {
  std::vector<int32_t> ids;
  for (const char c : word) ids.push_back(c - 'a');
  while (true) {
    size_t best_rank = spec.merges.size();
    size_t best_at = 0;
    for (size_t at = 0; at + 1 < ids.size(); ++at) {
      for (size_t rank = spec.merges.size(); rank-- > 0;) {  // of equal pairs the last counts
        if (spec.merges[rank].left != ids[at] || spec.merges[rank].right != ids[at + 1]) continue;
        if (rank < best_rank) {
          best_rank = rank;
          best_at = at;
        }
        break;
      }
    }
    if (best_rank == spec.merges.size()) return ids;
    ids[best_at] = spec.merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best_at) + 1);
  }
}

std::vector<int32_t> encode(const BpeSpec& spec, const std::string& word) {
  const Bpe bpe(spec, "test");
  Bpe::Scratch scratch;
  std::vector<int32_t> ids;
  bpe.encode(word, scratch, ids);
  std::vector<int32_t> again;
  bpe.encode(word, scratch, again);
  EXPECT_EQ(ids, again) << "a remembered word differs";
  return ids;
}

TEST(Bpe, MergesTheLeftmostPairOfTheLowestRankUntilNoneIsLeft) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const BpeSpec spec = random_spec(seed, 3 + static_cast<int>(seed) / 3);
    const CounterRandom random(seed, 1);
    std::string word;
    // Longer than what is encoded whole, so that cutting into parts is tested too.
    for (uint64_t i = 0; i < 10 + 2 * seed; ++i)
      word += static_cast<char>('a' + random.below(i, 4));
    EXPECT_EQ(encode(spec, word), merged_by_definition(spec, word)) << "seed " << seed;
  }
}

TEST(Bpe, ALongRunWithoutASpaceTakesNoQuadraticTime) {
  BpeSpec spec;
  spec.tokens = {"a", "aa", "aaaa", "b"};
  spec.merges = {{0, 0, 1}, {1, 1, 2}};
  EXPECT_EQ(encode(spec, std::string(1 << 18, 'a')).size(), size_t{1} << 16);
}

TEST(Bpe, UnknownCharactersAreDroppedFusedOrSpelledInBytes) {
  BpeSpec spec;
  spec.tokens = {"<unk>", "a", "<0xC3>", "<0xA9>"};
  const std::string word = "a\xC3\xA9\xC3\xA8\xC3\xA8";  // a, e acute, e grave twice
  EXPECT_THAT(encode(spec, word), ElementsAre(1));
  spec.unknown = "<unk>";
  EXPECT_THAT(encode(spec, word), ElementsAre(1, 0, 0, 0));
  spec.fuse_unknown = true;
  EXPECT_THAT(encode(spec, word), ElementsAre(1, 0));
  spec.byte_fallback = true;  // <0xA8> is missing, so e grave stays unknown
  EXPECT_THAT(encode(spec, word), ElementsAre(1, 2, 3, 0));
}

TEST(Bpe, AnUnknownCharacterWithoutItsTokenIsAnError) {
  BpeSpec spec;
  spec.tokens = {"a"};
  spec.unknown = "<unk>";
  EXPECT_THAT(encode(spec, "a"), ElementsAre(0));
  EXPECT_THROW(encode(spec, "b"), Error);
}

TEST(Bpe, WithIgnoreMergesAWordOfTheVocabularyIsTakenWhole) {
  BpeSpec spec;
  spec.tokens = {"a", "b", "ab"};
  EXPECT_THAT(encode(spec, "ab"), ElementsAre(0, 1));
  spec.ignore_merges = true;
  EXPECT_THAT(encode(spec, "ab"), ElementsAre(2));
}

TEST(PairTable, KeepsTheLastValueOfEveryPair) {
  PairTable table;
  const int32_t most = std::numeric_limits<int32_t>::max();
  for (int32_t i = 0; i < 1000; ++i) table.put(i, most - i, {static_cast<uint32_t>(i), i});
  table.put(5, most - 5, {7, 8});
  for (int32_t i = 0; i < 1000; ++i) {
    ASSERT_NE(table.find(i, most - i), nullptr);
    EXPECT_EQ(table.find(i, most - i)->result, i == 5 ? 8 : i);
    EXPECT_EQ(table.find(most - i, i), nullptr);
  }
}

}  // namespace
}  // namespace scant
