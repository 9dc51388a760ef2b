#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/testing_golden_file.h"
#include "formats/quantized_test.h"

namespace scant {
namespace {

// tests/goldens/numbers/numbers.bin, whose layout make_number_goldens.py describes.
struct Goldens {
  struct Case {
    std::string spelling;
    Role role;
    uint32_t input;
    Matrix expected;
  };
  struct Table {
    std::string spelling;
    Matrix values;  // 1 x codes
  };
  std::vector<Matrix> inputs;
  std::vector<Case> cases;
  std::vector<Table> tables;
};

Goldens read_goldens() {
  GoldenFile file(SCANT_SOURCE_DIR "/tests/goldens/numbers/numbers.bin", "SCNTNUM1");
  Goldens goldens;
  for (uint32_t count = file.number(); count > 0; --count) {
    const uint32_t rows = file.number();
    goldens.inputs.push_back(file.matrix(rows, file.number()));
  }
  for (uint32_t count = file.number(); count > 0; --count) {
    const std::string spelling = file.text();
    const Role role = file.bytes(1)[0] == 0 ? Role::kWeight : Role::kActivation;
    const uint32_t input = file.number();
    const Matrix& shape = goldens.inputs.at(input);
    goldens.cases.push_back({spelling, role, input, file.matrix(shape.rows(), shape.cols())});
  }
  for (uint32_t count = file.number(); count > 0; --count) {
    const std::string spelling = file.text();
    goldens.tables.push_back({spelling, file.matrix(1, file.number())});
  }
  file.require_end();
  return goldens;
}

using NumberGoldens = Quantized;

TEST_F(NumberGoldens, SimulatedValuesEqualTheIndependentOnesBitForBit) {
  const Goldens goldens = read_goldens();
  EXPECT_GE(goldens.cases.size(), 60u);
  for (const Goldens::Case& golden : goldens.cases) {
    const Matrix& input = goldens.inputs[golden.input];
    const Matrix out = simulated(quantized(input, golden.spelling, {}, golden.role));
    int64_t different = 0;
    for (int64_t i = 0; i < out.size(); ++i) {
      if (out.data()[i] == golden.expected.data()[i]) continue;
      if (++different > 3) break;
      ADD_FAILURE() << golden.spelling << " at row " << i / input.cols() << ", column "
                    << i % input.cols() << ": " << input.data()[i] << " became " << out.data()[i]
                    << ", expected " << golden.expected.data()[i];
    }
  }
}

TEST_F(NumberGoldens, EveryCodeHasTheIndependentValue) {
  const Goldens goldens = read_goldens();
  EXPECT_GE(goldens.tables.size(), 7u);
  for (const Goldens::Table& table : goldens.tables) {
    std::visit(
        [&]<typename T>(const T& element) {
          if constexpr (CodedElement<T>) {
            ASSERT_EQ(table.values.size(), int64_t{1} << element.code_bits());
            std::set<int> numbers;
            for (int64_t code = 0; code < table.values.size(); ++code) {
              const float expected = table.values(0, code);
              if (std::isnan(expected)) continue;
              EXPECT_EQ(element.code_value(static_cast<uint8_t>(code)), expected)
                  << table.spelling << " code " << code;
              // The code of negative zero can be read but is never written.
              if (expected != 0.0f || !std::signbit(expected)) {
                numbers.insert(static_cast<int>(code));
              }
            }
            const std::vector<uint8_t> codes = element.codes();
            EXPECT_EQ(numbers, std::set<int>(codes.begin(), codes.end())) << table.spelling;
          }
        },
        NumberFormat::parse(table.spelling, Role::kWeight).element);
  }
}

TEST_F(NumberGoldens, EveryFamilyHasAGolden) {
  std::set<size_t> families;
  for (const Goldens::Case& golden : read_goldens().cases) {
    families.insert(NumberFormat::parse(golden.spelling, golden.role).element.index());
  }
  // Blocks of GGUF have theirs in tests/goldens/gguf.
  EXPECT_EQ(families.size() + 1, std::variant_size_v<Element>);
}

}  // namespace
}  // namespace scant
