#include "formats/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace scant {
namespace {

using testing::AllOf;
using testing::HasSubstr;

enum class Values { kNormal, kTied, kSigned };

Matrix random_matrix(int64_t rows, int64_t cols, uint64_t stream, Values kind) {
  Matrix matrix(rows, cols);
  const CounterRandom random(11, stream);
  for (int64_t i = 0; i < matrix.size(); ++i) {
    const auto at = static_cast<uint64_t>(i);
    float& value = matrix.values()[static_cast<size_t>(i)];
    if (kind == Values::kTied) {
      value = static_cast<float>(random.below(at, 7)) - 3.0f;
      if (value == 0 && random.bits(at + 1'000'000) % 2 == 0) value = -0.0f;
    } else {
      value = random.normal(at);
    }
  }
  return matrix;
}

Scores magnitudes(const Matrix& values) { return {values.view(), Scores::Kind::kMagnitude}; }
Scores additive(const Matrix& values) { return {values.view(), Scores::Kind::kAdditive}; }

// The definition, read plainly: every weight belongs to a unit and every unit to a group; of each
// group the lowest (score, index) units go.
struct Unit {
  double score = 0;
  std::vector<int64_t> members;
};

struct Grouping {
  std::function<int64_t(int64_t, int64_t)> group_of, unit_of;
  std::function<int64_t(int64_t)> pruned_of;  // units in the group -> units that go
};

Grouping grouping_of(const SparsityPattern& pattern, int64_t cols) {
  const auto share = [](Percent percent) {
    return [percent](int64_t count) {
      return static_cast<int64_t>(static_cast<long double>(count) * percent.millionths / 1e8L);
    };
  };
  const auto by_index = [cols](int64_t r, int64_t c) { return r * cols + c; };
  const auto one = [](int64_t, int64_t) { return int64_t{0}; };
  if (const auto* p = std::get_if<UnstructuredPattern>(&pattern.pattern)) {
    if (!p->per_row) return {one, by_index, share(p->percent)};
    return {[](int64_t r, int64_t) { return r; }, by_index, share(p->percent)};
  }
  if (const auto* p = std::get_if<NOfMPattern>(&pattern.pattern)) {
    return {[p = *p, cols](int64_t r, int64_t c) { return r * cols + c / p.m; }, by_index,
            [n = p->n](int64_t count) { return count - std::min(n, count); }};
  }
  if (const auto* p = std::get_if<BlockPattern>(&pattern.pattern)) {
    return {one, [p = *p, cols](int64_t r, int64_t c) { return r / p.rows * cols + c / p.cols; },
            share(p->percent)};
  }
  const auto& p = std::get<StructuredPattern>(pattern.pattern);
  const bool by_row = p.axis == StructuredPattern::Axis::kRows;
  return {one, [by_row](int64_t r, int64_t c) { return by_row ? r : c; }, share(p.percent)};
}

Mask select_by_definition(const SparsityPattern& pattern, ConstMatrixView values,
                          Scores::Kind kind) {
  const Grouping grouping = grouping_of(pattern, values.cols);
  std::map<int64_t, std::map<int64_t, Unit>> groups;
  for (int64_t r = 0; r < values.rows; ++r) {
    for (int64_t c = 0; c < values.cols; ++c) {
      Unit& unit = groups[grouping.group_of(r, c)][grouping.unit_of(r, c)];
      const double value = values(r, c);
      unit.score += kind == Scores::Kind::kMagnitude    ? value * value
                    : kind == Scores::Kind::kSignedRoot ? std::copysign(value * value, value)
                                                        : value;
      unit.members.push_back(r * values.cols + c);
    }
  }
  Mask mask = Mask::all(values.rows, values.cols);
  for (const auto& [name, units] : groups) {
    std::vector<const Unit*> order;
    for (const auto& [index, unit] : units) order.push_back(&unit);
    std::ranges::stable_sort(order, {}, [](const Unit* unit) { return unit->score; });
    const auto pruned = grouping.pruned_of(static_cast<int64_t>(order.size()));
    for (int64_t i = 0; i < pruned; ++i) {
      for (const int64_t at : order[static_cast<size_t>(i)]->members) {
        mask.keep[static_cast<size_t>(at)] = 0;
      }
    }
  }
  return mask;
}

struct PatternTest : testing::Test {
  ThreadPool pool{2};
  Context context{pool};
};

std::string error_of(std::string_view spelling) {
  try {
    SparsityPattern::parse(spelling);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(PatternTest, EveryExampleSpellsAndParsesToItself) {
  for (const auto& pattern : SparsityPattern::examples()) {
    EXPECT_EQ(SparsityPattern::parse(pattern.spelling()), pattern) << pattern.spelling();
  }
}

TEST_F(PatternTest, SpellingsOfTheDocumentParseAndComeBackShortest) {
  const std::map<std::string, std::string> spellings = {{"50%", "50%"},
                                                        {"50.0%", "50%"},
                                                        {"62.50%", "62.5%"},
                                                        {"0.000001%", "0.000001%"},
                                                        {"99.999999%", "99.999999%"},
                                                        {"50%:row", "50%:row"},
                                                        {"2:4", "2:4"},
                                                        {"1:4", "1:4"},
                                                        {"4:8", "4:8"},
                                                        {"511:1024", "511:1024"},
                                                        {"50%:block=1x16", "50%:block=1x16"},
                                                        {"12.5%:block=32x4", "12.5%:block=32x4"},
                                                        {"50%:rows", "50%:rows"},
                                                        {"33.3%:cols", "33.3%:cols"}};
  for (const auto& [text, shortest] : spellings) {
    EXPECT_EQ(SparsityPattern::parse(text).spelling(), shortest);
  }
}

TEST_F(PatternTest, AWrongSpellingIsRefusedByNamingThePart) {
  EXPECT_THAT(error_of("50%:rwo"), AllOf(HasSubstr(R"("rwo" is unknown)"), HasSubstr("50%:row")));
  EXPECT_THAT(error_of("50%:row:rows"), HasSubstr(R"("row:rows" is unknown)"));
  EXPECT_THAT(error_of("half"), AllOf(HasSubstr(R"("half" is unknown)"), HasSubstr("2:4")));
  EXPECT_THAT(error_of(""), HasSubstr(R"("" is unknown)"));
  EXPECT_THAT(error_of("0%"), HasSubstr("more than 0% and less than 100%"));
  EXPECT_THAT(error_of("150%"), HasSubstr("more than 0% and less than 100%"));
  EXPECT_THAT(error_of("100%:rows"), HasSubstr("more than 0% and less than 100%"));
  EXPECT_THAT(error_of("100%:rwo"), HasSubstr("more than 0% and less than 100%"));
  for (const char* text : {"-5%", "5e1%", "50.%", ".5%", "050%", "50.1234567%", "%", "50 %"}) {
    EXPECT_THAT(error_of(text), HasSubstr("is not a percentage")) << text;
  }
  for (const char* text : {"0:4", "4:4", "5:4", "0:0"}) {
    EXPECT_THAT(error_of(text), HasSubstr("1 <= N < M")) << text;
  }
  EXPECT_THAT(error_of("2:4:8"), HasSubstr(R"("4:8" is not a count)"));
  EXPECT_THAT(error_of("2:99999999999999999999"), HasSubstr("is not a count"));
  EXPECT_THAT(error_of("x:4"), HasSubstr(R"("x" is not a count)"));
  for (const char* text : {"50%:block=", "50%:block=4", "50%:block=0x4", "50%:block=4x0",
                           "50%:block=4x4x4", "50%:block=1x65537", "50%:block=-1x4"}) {
    EXPECT_THAT(error_of(text), HasSubstr("must be block=RxC")) << text;
  }
}

TEST_F(PatternTest, AnErrorIsOneShortLineWhateverTheInput) {
  const std::string error = error_of("2\n\x01" + std::string(1000, 'a'));
  EXPECT_EQ(error.find('\n'), std::string::npos);
  EXPECT_LT(error.size(), 400u);
}

TEST_F(PatternTest, SelectionFollowsTheDefinitionOnRaggedShapes) {
  const std::vector<std::pair<int64_t, int64_t>> shapes = {{1, 1},  {1, 7},   {7, 1},
                                                           {5, 33}, {16, 64}, {13, 70}};
  uint64_t stream = 0;
  for (const auto& pattern : SparsityPattern::examples()) {
    for (const auto& [rows, cols] : shapes) {
      for (const Values kind : {Values::kNormal, Values::kTied}) {
        const Matrix values = random_matrix(rows, cols, ++stream, kind);
        EXPECT_EQ(pattern.select(magnitudes(values), context),
                  select_by_definition(pattern, values.view(), Scores::Kind::kMagnitude))
            << pattern.spelling() << " of " << rows << " x " << cols;
        EXPECT_EQ(pattern.select(additive(values), context),
                  select_by_definition(pattern, values.view(), Scores::Kind::kAdditive))
            << pattern.spelling() << " of scores, " << rows << " x " << cols;
        EXPECT_EQ(pattern.select({values.view(), Scores::Kind::kSignedRoot}, context),
                  select_by_definition(pattern, values.view(), Scores::Kind::kSignedRoot))
            << pattern.spelling() << " of roots, " << rows << " x " << cols;
      }
    }
  }
}

TEST_F(PatternTest, GroupsOfEverySizeFollowTheDefinition) {
  const Matrix values = random_matrix(3, 300, 5, Values::kTied);
  for (const int64_t m : {2, 3, 4, 5, 8, 31, 32, 33, 64, 100, 299, 1024}) {
    for (const int64_t n : {int64_t{1}, m / 2, m - 1}) {
      const SparsityPattern pattern{NOfMPattern{n, m}};
      EXPECT_EQ(pattern.select(additive(values), context),
                select_by_definition(pattern, values.view(), Scores::Kind::kAdditive))
          << pattern.spelling();
    }
  }
}

TEST_F(PatternTest, ALargeTensorFollowsTheDefinition) {
  for (const Values kind : {Values::kNormal, Values::kTied}) {
    const Matrix values = random_matrix(37, 1031, 6, kind);
    for (const char* spelling : {"50%", "0.01%", "99.9%", "62.5%"}) {
      const auto pattern = SparsityPattern::parse(spelling);
      EXPECT_EQ(pattern.select(magnitudes(values), context),
                select_by_definition(pattern, values.view(), Scores::Kind::kMagnitude))
          << spelling;
      EXPECT_EQ(pattern.select(additive(values), context),
                select_by_definition(pattern, values.view(), Scores::Kind::kAdditive))
          << spelling;
    }
  }
}

TEST_F(PatternTest, OnEqualScoresTheLowerIndexIsPrunedFirst) {
  Matrix values = Matrix::zeros(4, 8);
  for (float& value : values.values()) value = 1.0f;
  for (const auto& pattern : SparsityPattern::examples()) {
    const Mask mask = pattern.select(magnitudes(values), context);
    EXPECT_EQ(mask, select_by_definition(pattern, values.view(), Scores::Kind::kMagnitude))
        << pattern.spelling();
  }
  const Mask quads = SparsityPattern::parse("2:4").select(additive(values), context);
  EXPECT_THAT(std::vector<uint8_t>(quads.row(0), quads.row(0) + 8),
              testing::ElementsAre(0, 0, 1, 1, 0, 0, 1, 1));
}

TEST_F(PatternTest, PrunedCountsAreRoundedDownAndTailsKeepWhatTheyCan) {
  const Matrix values = random_matrix(3, 7, 8, Values::kNormal);
  const auto kept = [&](const char* spelling) {
    return SparsityPattern::parse(spelling).select(additive(values), context).kept();
  };
  EXPECT_EQ(kept("50%"), 21 - 10);
  EXPECT_EQ(kept("50%:row"), 3 * (7 - 3));
  EXPECT_EQ(kept("2:4"), 3 * (2 + 2));
  EXPECT_EQ(kept("1:5"), 3 * (1 + 1));
  EXPECT_EQ(kept("5:6"), 3 * (5 + 1));
  EXPECT_EQ(kept("50%:rows"), 2 * 7);
  EXPECT_EQ(kept("50%:cols"), 3 * 4);
  EXPECT_EQ(Percent{33'333'333}.of(3), 0);
  EXPECT_EQ(Percent{33'333'334}.of(3), 1);
  EXPECT_EQ(Percent{99'999'999}.of(int64_t{1} << 50),
            ((int64_t{1} << 50) / 100000000) * 99999999 +
                ((int64_t{1} << 50) % 100000000) * 99999999 / 100000000);
}

TEST_F(PatternTest, ExactlyTheMostThatIsAllowedIsKept) {
  uint64_t stream = 100;
  for (const auto& pattern : SparsityPattern::examples()) {
    for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{{12, 48}, {5, 37}}) {
      const Matrix values = random_matrix(rows, cols, ++stream, Values::kNormal);
      const Mask mask = pattern.select(additive(values), context);
      EXPECT_TRUE(pattern.allows(mask)) << pattern.spelling();
      const bool is_ragged_block = pattern.family() == "block" && rows == 5;
      if (is_ragged_block) {
        EXPECT_LE(mask.kept(), pattern.most_kept(rows, cols)) << pattern.spelling();
      } else {
        EXPECT_EQ(mask.kept(), pattern.most_kept(rows, cols)) << pattern.spelling();
      }
    }
  }
}

TEST_F(PatternTest, OneMoreKeptUnitIsNotAllowed) {
  const Matrix values = random_matrix(12, 48, 9, Values::kNormal);
  for (const auto& pattern : SparsityPattern::examples()) {
    Mask mask = pattern.select(additive(values), context);
    const auto first = std::ranges::find(mask.keep, uint8_t{0});
    ASSERT_NE(first, mask.keep.end());
    *first = 1;
    EXPECT_FALSE(pattern.allows(mask)) << pattern.spelling();
    EXPECT_TRUE(pattern.allows({12, 48, std::vector<uint8_t>(12 * 48, 0)})) << pattern.spelling();
  }
}

TEST_F(PatternTest, TheLargestBlockCountIsReachedWhenTheWholeBlocksAreLargest) {
  // 5 x 7 in blocks of 2 x 3: 9 blocks, 4 of them whole; 5 stay, of the empty ones the last.
  Matrix values = Matrix::zeros(5, 7);
  for (int64_t r = 0; r < 4; ++r) {
    for (int64_t c = 0; c < 6; ++c) values(r, c) = 1.0f;
  }
  const auto pattern = SparsityPattern::parse("50%:block=2x3");
  EXPECT_EQ(pattern.select(magnitudes(values), context).kept(), 4 * 6 + 1);
  EXPECT_EQ(pattern.most_kept(5, 7), 4 * 6 + 3);
}

TEST_F(PatternTest, SelectionReadsAViewWithAStride) {
  const Matrix whole = random_matrix(9, 40, 10, Values::kNormal);
  const ConstMatrixView part = whole.view().cols_from(3, 30);
  const Matrix copy = Matrix::copy_of(part);
  for (const auto& pattern : SparsityPattern::examples()) {
    EXPECT_EQ(pattern.select({part, Scores::Kind::kAdditive}, context),
              pattern.select(additive(copy), context))
        << pattern.spelling();
  }
}

TEST_F(PatternTest, SelectionDoesNotDependOnTheNumberOfThreads) {
  const Matrix values = random_matrix(300, 513, 12, Values::kTied);
  for (const auto& pattern : SparsityPattern::examples()) {
    std::vector<Mask> masks;
    for (const int threads : {1, 2, 5}) {
      ThreadPool other(threads);
      Context with{other};
      masks.push_back(pattern.select(magnitudes(values), with));
    }
    EXPECT_EQ(masks[0], masks[1]) << pattern.spelling();
    EXPECT_EQ(masks[0], masks[2]) << pattern.spelling();
  }
}

TEST_F(PatternTest, TheOrderOfKeysIsTheOrderOfScores) {
  const std::vector<float> rising = {-3.4e38f, -1.0f, -1e-45f, 0.0f, 1e-45f, 1.0f, 3.4e38f};
  const Scores additive{{}, Scores::Kind::kAdditive};
  const Scores magnitude{{}, Scores::Kind::kMagnitude};
  for (size_t i = 1; i < rising.size(); ++i) {
    EXPECT_LT(additive.key(rising[i - 1]), additive.key(rising[i]));
  }
  EXPECT_EQ(additive.key(-0.0f), additive.key(0.0f));
  EXPECT_EQ(magnitude.key(-1.5f), magnitude.key(1.5f));
  EXPECT_LT(magnitude.key(-1.5f), magnitude.key(1.75f));
}

}  // namespace
}  // namespace scant
