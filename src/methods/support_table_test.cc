#include "methods/support_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "core/error.h"
#include "core/file_map.h"
#include "formats/size.h"
#include "methods/random_blocks_test.h"

namespace scant {
namespace {

std::string described(const CompressionSpec& spec) {
  return (spec.format ? spec.format->spelling() : "as it is") + " with " +
         (spec.pattern ? spec.pattern->spelling() : "no pattern") + ", " +
         std::string(order_name(spec.order));
}

TEST(SupportTable, EveryYesCompressesASmallMatrixAndEveryNoSaysWhy) {
  ThreadPool pool(1);
  Context context{pool};
  const Matrix weight = random_blocks(kBlockKinds, 34, 1);
  const InputStatistics inputs(random_gram(34, 90, 1));
  const Statistics statistics{&inputs};
  const auto specs = support_specs();
  for (const CompressionSpec& spec : specs) {
    if (const auto sentence = refusal(spec)) {
      EXPECT_THROW(compress_matrix(weight.view(), spec, statistics, context), Error)
          << described(spec);
      continue;
    }
    const CompressedMatrix result = compress_matrix(weight.view(), spec, statistics, context);
    ASSERT_TRUE(std::ranges::all_of(result.values.values(), [](float v) {
      return std::isfinite(v);
    })) << described(spec);
    ASSERT_EQ(result.mask.has_value(), spec.pattern.has_value());
    ASSERT_EQ(result.quantized.has_value(), spec.format.has_value());
    if (spec.pattern) {
      ASSERT_TRUE(spec.pattern->allows(*result.mask)) << described(spec);
    }
    if (spec.format) {
      const int64_t kept = result.mask ? result.mask->kept() : weight.size();
      const StoredSize size =
          stored_size(weight.rows(), weight.cols(), *spec.format, spec.pattern, kept);
      ASSERT_GT(size.bits_per_weight(), 0.0) << described(spec);
    }
  }
  EXPECT_GT(specs.size(), 2000u);
}

TEST(SupportTable, TheCommittedGuideIsWhatTheCodeSays) {
  const std::string committed = SCANT_SOURCE_DIR "/docs/guide/support.md";
  const std::string generated = SCANT_BINARY_DIR "/support.md";
  std::ofstream(generated) << support_table();
  EXPECT_TRUE(read_file(committed) == support_table())
      << committed << " is out of date: copy " << generated << " over it";
}

}  // namespace
}  // namespace scant
