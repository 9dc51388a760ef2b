#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>

#include "core/atomic_write.h"
#include "core/cpu.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/file_map.h"
#include "core/random.h"
#include "core/tensor.h"
#include "core/threads.h"

namespace scant {
namespace {

namespace fs = std::filesystem;

std::string fresh_folder(const std::string& name) {
  const fs::path path = fs::path(testing::TempDir()) / ("scant_core_test_" + name);
  fs::remove_all(path);
  fs::create_directories(path);
  return path.string();
}

TEST(DType, Every16BitPatternSurvivesWideningAndNarrowing) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto b = static_cast<uint16_t>(bits);
    const float half = f16_to_f32(b);
    if (std::isnan(half)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(half))));
    } else {
      EXPECT_EQ(f32_to_f16(half), b);
    }
    if (!std::isnan(bf16_to_f32(b))) {
      EXPECT_EQ(f32_to_bf16(bf16_to_f32(b)), b);
    }
  }
}

TEST(DType, HalfNarrowingAgreesWithTheCompilersConversion) {
  const CounterRandom random(1, 2);
  for (uint64_t i = 0; i < 200000; ++i) {
    const float value = std::bit_cast<float>(random.bits(i));
    if (std::isnan(value)) continue;
    const auto expected = static_cast<_Float16>(value);
    EXPECT_EQ(f32_to_f16(value), std::bit_cast<uint16_t>(expected)) << value;
  }
}

TEST(DType, NarrowingRoundsTiesToEven) {
  EXPECT_EQ(f32_to_bf16(1.00390625f), 0x3f80);  // halfway between 1 and 1 + 2^-7
  EXPECT_EQ(f32_to_bf16(1.01171875f), 0x3f82);
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
}

TEST(DType, ExactnessIsDecidedBitForBit) {
  const std::vector<float> exact = {1.0f, -0.5f, 0.0f};
  const std::vector<float> inexact = {1.0f, 1.0f + 0x1p-20f};
  EXPECT_TRUE(is_exact_in(exact, DType::kBF16));
  EXPECT_FALSE(is_exact_in(inexact, DType::kBF16));
  EXPECT_TRUE(is_exact_in(inexact, DType::kF32));
}

TEST(Threads, EachPieceRunsExactlyOnceForAnyNumberOfThreads) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int repeat = 0; repeat < 50; ++repeat) {
      std::vector<std::atomic<int>> counts(97);
      pool.parallel_for(97, [&](int64_t i) { counts[static_cast<size_t>(i)]++; });
      for (const auto& count : counts) EXPECT_EQ(count.load(), 1);
    }
  }
}

TEST(Threads, AnExceptionInAPieceReachesTheCallerAndThePoolStaysUsable) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.parallel_for(100,
                                 [](int64_t i) {
                                   if (i == 7) throw Error("x", "broken");
                                 }),
               Error);
  std::atomic<int> sum{0};
  pool.parallel_for(10, [&](int64_t i) { sum += static_cast<int>(i); });
  EXPECT_EQ(sum.load(), 45);
}

TEST(Threads, ACallFromInsideAPieceRunsSerially) {
  ThreadPool pool(2);
  std::atomic<int> sum{0};
  pool.parallel_for(4, [&](int64_t) { pool.parallel_for(5, [&](int64_t) { sum++; }); });
  EXPECT_EQ(sum.load(), 20);
}

TEST(Random, PhiloxMatchesThePublishedTestVectors) {
  // Random123's kat_vectors for philox4x32, 10 rounds.
  EXPECT_EQ(philox4x32({0, 0}, {0, 0, 0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  const CounterRandom random(7, 9);
  double uniform = 0, normal = 0, square = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    uniform += random.uniform(static_cast<uint64_t>(i));
    const double z = random.normal(static_cast<uint64_t>(i));
    normal += z;
    square += z * z;
  }
  EXPECT_NEAR(uniform / kCount, 0.5, 0.01);
  EXPECT_NEAR(normal / kCount, 0.0, 0.02);
  EXPECT_NEAR(square / kCount, 1.0, 0.03);
}

TEST(FileMap, AMissingFileIsNamed) {
  try {
    FileMap map("/nonexistent/file.bin");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent/file.bin"), std::string::npos);
  }
}

TEST(AtomicFolder, AppearsWholeAtCommitAndNotAtAllWithoutOne) {
  const std::string base = fresh_folder("atomic");
  const std::string out = base + "/out";
  {
    const AtomicFolder folder(out);
    OutputFile(folder.file("a.txt")).close();
  }
  EXPECT_FALSE(fs::exists(out));
  EXPECT_TRUE(fs::is_empty(base));
  AtomicFolder folder(out);
  OutputFile file(folder.file("a.txt"));
  file.write("hello");
  file.close();
  EXPECT_FALSE(fs::exists(out));
  folder.commit();
  EXPECT_EQ(read_file(out + "/a.txt"), "hello");
}

TEST(AtomicFolder, RefusesAFullFolderUnlessToldToReplaceIt) {
  const std::string out = fresh_folder("full");
  std::ofstream(out + "/old.txt") << "old";
  EXPECT_THROW(AtomicFolder folder(out), Error);
  AtomicFolder folder(out, true);
  folder.commit();
  EXPECT_TRUE(fs::is_empty(out));
}

TEST(AtomicFolder, RemovesWhatAKilledRunLeft) {
  const std::string base = fresh_folder("killed");
  fs::create_directories(base + "/out.partial-999999999");
  { const AtomicFolder folder(base + "/out"); }
  EXPECT_TRUE(fs::is_empty(base));
}

TEST(PaddedMatrix, KeepsRowsApartThatWouldShareCacheSets) {
  for (const int64_t cols : {1, 200, 256, 1000, 1024, 4096}) {
    PaddedMatrix matrix(3, cols);
    EXPECT_GE(matrix.view().stride, cols);
    EXPECT_NE(matrix.view().stride % 256, 0) << cols;
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t c = 0; c < cols; ++c) matrix(r, c) = static_cast<float>(r * cols + c);
    }
    const PaddedMatrix copy = PaddedMatrix::copy_of(matrix.view());
    EXPECT_EQ(copy.rows(), 3);
    EXPECT_EQ(copy.cols(), cols);
    for (int64_t i = 0; i < 3 * cols; ++i) {
      ASSERT_EQ(copy.row(i / cols)[i % cols], static_cast<float>(i));
    }
  }
}

TEST(Matrix, LargeOnesBeginWhereAHugePageCan) {
  const Matrix small(1, 1), large(1024, 1024);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(small.data()) % 64, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(large.data()) % (size_t{2} << 20), 0u);
}

TEST(Cpu, LimitingToTheDetectedSetIsAlwaysPossible) {
  limit_isa(Isa::kPortable);
  EXPECT_EQ(active_isa(), Isa::kPortable);
  limit_isa(detected_isa());
  EXPECT_EQ(active_isa(), detected_isa());
  EXPECT_EQ(runnable_isas().front(), Isa::kPortable);
}

}  // namespace
}  // namespace scant
