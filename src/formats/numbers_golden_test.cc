#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

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

class GoldenReader {
 public:
  explicit GoldenReader(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
  }

  Goldens read() {
    Goldens goldens;
    if (text(8) != "SCNTNUM1") throw std::runtime_error("numbers.bin: wrong magic");
    for (uint32_t count = number(); count > 0; --count) {
      const uint32_t rows = number();
      const uint32_t cols = number();
      goldens.inputs.push_back(matrix(rows, cols));
    }
    for (uint32_t count = number(); count > 0; --count) {
      const std::string spelling = text(number());
      const Role role = text(1)[0] == 0 ? Role::kWeight : Role::kActivation;
      const uint32_t input = number();
      const Matrix& shape = goldens.inputs.at(input);
      goldens.cases.push_back({spelling, role, input, matrix(shape.rows(), shape.cols())});
    }
    for (uint32_t count = number(); count > 0; --count) {
      const std::string spelling = text(number());
      const uint32_t codes = number();
      goldens.tables.push_back({spelling, matrix(1, codes)});
    }
    if (at_ != bytes_.size()) throw std::runtime_error("numbers.bin: bytes left over");
    return goldens;
  }

 private:
  std::string text(size_t size) {
    if (size > bytes_.size() - at_) throw std::runtime_error("numbers.bin: cut off");
    at_ += size;
    return {bytes_.data() + at_ - size, size};
  }
  uint32_t number() {
    uint32_t value = 0;
    std::memcpy(&value, text(4).data(), 4);
    return value;
  }
  Matrix matrix(int64_t rows, int64_t cols) {
    Matrix values(rows, cols);
    const std::string data = text(values.values().size_bytes());
    std::memcpy(values.data(), data.data(), data.size());
    return values;
  }

  std::vector<char> bytes_;
  size_t at_ = 0;
};

Goldens read_goldens() {
  return GoldenReader(SCANT_SOURCE_DIR "/tests/goldens/numbers/numbers.bin").read();
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
  EXPECT_EQ(families.size(), std::variant_size_v<Element>);
}

}  // namespace
}  // namespace scant
