#include <gtest/gtest.h>

#include <cmath>

#include "core/testing_golden_file.h"
#include "methods/compressed_matrix.h"
#include "methods/joint/joint_solver.h"

namespace scant {
namespace {

// tests/goldens/solvers/solvers.bin, whose layout make_solver_goldens.py describes.
struct Goldens {
  struct Case {
    std::string method, pattern, format;
    Matrix values;
  };
  Matrix weight, gram;
  std::vector<Case> cases;
};

Goldens read_goldens() {
  GoldenFile file(SCANT_SOURCE_DIR "/tests/goldens/solvers/solvers.bin", "SCNTSLV1");
  Goldens goldens;
  const uint32_t rows = file.number();
  const uint32_t cols = file.number();
  goldens.weight = file.matrix(rows, cols);
  goldens.gram = file.matrix(cols, cols);
  for (uint32_t count = file.number(); count > 0; --count) {
    Goldens::Case entry{file.text(), file.text(), file.text(), {}};
    entry.values = file.matrix(rows, cols);
    goldens.cases.push_back(std::move(entry));
  }
  file.require_end();
  return goldens;
}

CompressionSpec spec_of(const Goldens::Case& golden) {
  CompressionSpec spec;
  if (!golden.pattern.empty()) spec.pattern = SparsityPattern::parse(golden.pattern);
  if (!golden.format.empty()) spec.format = NumberFormat::parse(golden.format, Role::kWeight);
  if (spec.pattern && spec.format) spec.order = Order::kJoint;
  (spec.pattern && spec.format ? spec.joint
   : spec.pattern              ? spec.pruner
                               : spec.quantizer) = golden.method;
  return spec;
}

TEST(SolverGoldens, ErrorsAndMasksAreThoseOfAnIndependentImplementation) {
  ThreadPool pool(2);
  Context context{pool};
  Goldens goldens = read_goldens();
  const InputStatistics inputs(std::move(goldens.gram));
  EXPECT_GE(goldens.cases.size(), 17u);
  for (const Goldens::Case& golden : goldens.cases) {
    SCOPED_TRACE(golden.method + " " + golden.pattern + " " + golden.format);
    const CompressedMatrix ours =
        compress_matrix(goldens.weight.view(), spec_of(golden), Statistics{&inputs}, context);
    const double error =
        output_squared_error(goldens.weight.view(), ours.values.view(), inputs, context);
    const double expected =
        output_squared_error(goldens.weight.view(), golden.values.view(), inputs, context);
    // These choose among many that are nearly as good, by sums that differ in the last digits.
    const bool chooses = golden.method == "alps" || golden.method == "awq";
    EXPECT_NEAR(error, expected, (chooses ? 0.02 : 0.005) * expected);
    int64_t same = 0;
    for (int64_t i = 0; i < ours.values.size(); ++i) {
      same += (ours.values.data()[i] == 0.0f) == (golden.values.data()[i] == 0.0f);
    }
    EXPECT_GE(static_cast<double>(same),
              (chooses ? 0.98 : 0.995) * static_cast<double>(ours.values.size()));
  }
}

}  // namespace
}  // namespace scant
