#pragma once

// For the tests of kernel tables: every row against a double-precision reference.

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/cpu.h"
#include "core/random.h"
#include "core/tensor.h"

namespace scant {

/// A test that runs once per instruction set, limited to it; skipped aloud where it cannot run.
class PerIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    before_ = active_isa();
    if (GetParam() > detected_isa()) {
      GTEST_SKIP() << "this processor has no " << isa_name(GetParam());
    }
    limit_isa(GetParam());
  }
  void TearDown() override { limit_isa(before_); }

  /// True if the row `kernel` is the one written for the forced instruction set.
  static bool is_forced(std::string_view kernel) {
    const bool portable = GetParam() == Isa::kPortable;
    return kernel.ends_with(std::string("__") +
                            std::string(portable ? "reference" : isa_name(GetParam())));
  }

 private:
  Isa before_ = Isa::kPortable;
};

inline std::string isa_test_name(const testing::TestParamInfo<Isa>& info) {
  return std::string(isa_name(info.param));
}

#define SCANT_FOR_EVERY_ISA(suite)                                                                \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, testing::Values(Isa::kPortable, Isa::kAvx2, Isa::kAvx512), \
                           isa_test_name)

/// Standard normal values times `scale`.
inline Matrix random_values(int64_t rows, int64_t cols, uint64_t stream, float scale = 1.0f) {
  const CounterRandom random(7, stream);
  Matrix m(rows, cols);
  for (int64_t i = 0; i < m.size(); ++i) {
    m.data()[i] = scale * random.normal(static_cast<uint64_t>(i));
  }
  return m;
}

/// Lengths around every vector width and chunk.
inline std::vector<int64_t> ragged_lengths() {
  return {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1023, 1024, 1025, 2500};
}

}  // namespace scant
