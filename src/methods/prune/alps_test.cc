#include <cmath>

#include "methods/calibrated_test.h"
#include "methods/prune/pruner.h"

namespace scant {
namespace {

using AlpsTest = CalibratedTest;

TEST_F(AlpsTest, IsBetterThanOneSweepForEveryPattern) {
  std::vector<std::string> spellings = {"70%"};
  for (const SparsityPattern& pattern : SparsityPattern::examples()) {
    spellings.push_back(pattern.spelling());
  }
  for (const std::string& spelling : spellings) {
    const CompressedMatrix ours = compress(spelling.c_str(), nullptr, "alps", "");
    const CompressedMatrix sweep = compress(spelling.c_str(), nullptr, "sparsegpt", "");
    EXPECT_LT(*ours.output_error, 0.97 * *sweep.output_error) << spelling;
    const auto pattern = SparsityPattern::parse(spelling);
    EXPECT_TRUE(pattern.allows(*ours.mask)) << spelling;
    if (pattern.family() != "block") {  // smaller blocks at the edge
      EXPECT_EQ(ours.mask->kept(), sweep.mask->kept()) << spelling;
    }
    for (int64_t i = 0; i < weight.size(); ++i) {
      if (ours.mask->keep[static_cast<size_t>(i)] == 0) {
        ASSERT_EQ(ours.values.data()[i], 0.0f);
      }
    }
  }
}

TEST_F(AlpsTest, IsNeverAboveTheSweepOnAGridEither) {
  for (const char* pattern : {"50%", "70%:row", "2:4", "50%:block=4x4", "50%:rows"}) {
    for (const char* format : {"int4:g32", "int3", "mxfp4", "bf16"}) {
      const auto compressed = [&](const char* pruner) {
        return compress(pattern, format, pruner, "gptq", Order::kQuantizeFirst);
      };
      EXPECT_LE(error(compressed("alps").values), error(compressed("sparsegpt").values) * 1.0001)
          << pattern << " " << format;
    }
  }
}

TEST_F(AlpsTest, InputsThatSayNothingLeaveAMaskByMagnitude) {
  const InputStatistics nothing(Matrix::zeros(200, 200));
  CompressionSpec spec;
  spec.pattern = SparsityPattern::parse("2:4");
  const Mask by_magnitude = *compress_matrix(weight.view(), spec, {}, context).mask;
  spec.pruner = "alps";
  const CompressedMatrix ours = compress_matrix(weight.view(), spec, {&nothing}, context);
  EXPECT_EQ(*ours.mask, by_magnitude);
}

TEST_F(AlpsTest, DoesNotDependOnTheNumberOfThreads) {
  ThreadPool one(1);
  Context alone{one};
  for (const char* pattern : {"50%", "2:4"}) {
    const auto parsed = SparsityPattern::parse(pattern);
    const PruneTask task{parsed, statistics};
    const PrunedMatrix a = alps_pruner().prune(weight.view(), task, alone);
    const PrunedMatrix b = alps_pruner().prune(weight.view(), task, context);
    EXPECT_EQ(a.mask, b.mask);
    for (int64_t i = 0; i < weight.size(); ++i) {
      ASSERT_EQ(a.values.data()[i], b.values.data()[i]) << pattern;
    }
  }
}

}  // namespace
}  // namespace scant
