#include "compress/hidden_states.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/random.h"
#include "core/threads.h"

namespace scant {
namespace {

constexpr int64_t kSamples = 5, kTokens = 7, kFeatures = 12;

Matrix state_of(int64_t sample, uint64_t version) {
  Matrix state(kTokens, kFeatures);
  const CounterRandom random(version, static_cast<uint64_t>(sample));
  for (int64_t i = 0; i < state.size(); ++i) {
    state.data()[i] = static_cast<float>(random.uniform(static_cast<uint64_t>(i))) - 0.5f;
  }
  return state;
}

std::string fresh_folder() {
  const std::string folder = testing::TempDir() + "hidden_states_" +
                             testing::UnitTest::GetInstance()->current_test_info()->name();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

bool is_empty(const std::string& folder) { return std::filesystem::is_empty(folder); }

TEST(HiddenStates, GiveBackWhatWasPutWhereverTheyLie) {
  const std::string folder = fresh_folder();
  for (const bool offload : {false, true}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      StateStorage storage{dtype, std::nullopt};
      if (offload) storage.offload = folder + "/out";
      HiddenStates states(kSamples, storage);
      for (int64_t i = 0; i < kSamples; ++i) EXPECT_EQ(states.get(i).size(), 0);
      ThreadPool pool(3);
      for (const uint64_t version : {1, 2}) {
        pool.parallel_for(kSamples, [&](int64_t i) { states.put(i, state_of(i, version)); });
        for (int64_t i = 0; i < kSamples; ++i) {
          Matrix expected = state_of(i, version);
          if (dtype == DType::kBF16) {
            for (float& v : expected.values()) v = bf16_to_f32(f32_to_bf16(v));
          }
          const Matrix got = states.get(i);
          ASSERT_EQ(got.rows(), kTokens);
          ASSERT_EQ(got.cols(), kFeatures);
          EXPECT_TRUE(std::ranges::equal(got.values(), expected.values()));
          Matrix taken = states.take(i);
          EXPECT_TRUE(std::ranges::equal(taken.values(), expected.values()));
          states.put(i, std::move(taken));
        }
      }
      EXPECT_TRUE(is_empty(folder)) << "a killed run would leave its file behind";
    }
  }
}

TEST(HiddenStates, AFolderThatIsNotThereIsNamed) {
  const std::string beside = fresh_folder() + "/absent/out";
  try {
    const HiddenStates states(1, {DType::kF32, beside});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(beside), std::string::npos) << error.what();
  }
}

TEST(HiddenStates, TakeTheMemoryThatTheySay) {
  EXPECT_EQ(HiddenStates::memory(100, {DType::kF32, std::nullopt}), 400);
  EXPECT_EQ(HiddenStates::memory(100, {DType::kBF16, std::nullopt}), 200);
  EXPECT_EQ(HiddenStates::memory(100, {DType::kF32, "out"}), 0);
}

}  // namespace
}  // namespace scant
