#include "kernels/matmul/packed_matmul.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "core/error.h"
#include "core/threads.h"
#include "kernels/testing_isa.h"

namespace scant {
namespace {

struct Case {
  std::string format;
  std::string pattern = {};  // empty: dense
  std::string layout = {};   // empty: the smallest
  MatmulPath path = MatmulPath::kFloats;
  friend void PrintTo(const Case& what, std::ostream* os) {
    *os << what.format << " " << what.pattern << " " << what.layout;
  }
};

std::vector<Case> cases() {
  using enum MatmulPath;
  return {
      {"int8", "", "", kBytes},
      {"int8:g64:scale=fp16", "", "", kBytes},
      {"int8:g32", "", "", kBytes},
      {"int8:g16", "", "", kBytes},
      {"int8:tensor:scale=bf16", "", "", kBytes},
      {"int8:asym:g128", "", "", kBytes},
      {"mxint8", "", "", kBytes},
      {"hbfp8", "", "", kBytes},
      {"int4:g128", "", "", kNibbles},
      {"int4:g32:scale=fp16", "", "", kNibbles},
      {"int4:g96", "", "", kNibbles},
      {"int4:g16", "", "", kNibbles},
      {"int4:narrow", "", "", kNibbles},
      {"int4:asym:g64", "", "", kNibbles},
      {"int4:asym:tensor", "", "", kNibbles},
      {"mxfp4", "", "", kNibbles},
      {"nvfp4", "", "", kNibbles},
      {"fp4_e2m1:g128", "", "", kNibbles},
      {"hbfp4", "", "", kNibbles},
      {"int2:g64", "", "", kBytes},
      {"int3:g128", "", "", kBytes},
      {"int6", "", "", kBytes},
      {"int5:g32", "", "", kBytes},
      {"int6:asym:g128", "", "", kBytes},
      {"int2:g16", "", "", kBytes},
      {"int3:asym:g32", "", "", kBytes},
      {"ternary", "", "", kBytes},
      {"binary:g128", "", "", kBytes},
      {"mxfp6_e2m3", "", "", kBytes},
      {"q4_1", "", "", kNibbles},
      {"q5_1", "", "", kBytes},
      {"q3_k", "", "", kBytes},
      {"q4_k", "", "", kNibbles},
      {"q5_k", "", "", kBytes},
      {"q6_k", "", "", kBytes},
      {"q2_k", "", "", kFloats},
      {"q4_k", "2:4", "n_of_m", kFloats},
      {"q6_k", "2:4", "n_of_m", kBytes},
      {"nf4", "", "", kFloats},
      {"fp8_e4m3", "", "", kFloats},
      {"int4:g20", "", "", kFloats},
      {"bf16", "", "", kFloats},
      {"fp32", "2:4", "", kFloats},
      {"int8", "2:4", "n_of_m", kQuads8},
      {"int8:g128", "2:4", "n_of_m", kQuads8},
      {"int8:g32", "2:4", "n_of_m", kQuads8},
      {"int8:g16:scale=e8m0", "2:4", "n_of_m", kQuads8},
      {"int4:g128", "2:4", "n_of_m", kQuads4},
      {"int4:g64", "2:4", "n_of_m", kQuads4},
      {"int4:g16", "2:4", "n_of_m", kQuads4},
      {"nvfp4", "2:4", "n_of_m", kQuads4},
      {"int4:asym:g128", "2:4", "n_of_m", kFloats},
      {"int3:g128", "2:4", "n_of_m", kBytes},
      {"int4:g128", "2:4", "n_of_m_positions", kBytes},
      {"int8", "1:4", "n_of_m", kBytes},
      {"int4:g128", "2:4", "dense", kNibbles},
      {"int8", "50%", "bitmask", kBytes},
      {"int4:g128", "50%", "bitmask", kNibbles},
      {"int4:g32", "70%:row", "bitmask", kNibbles},
      {"nvfp4", "50%", "bitmask", kNibbles},
      {"int3:g64", "50%", "bitmask", kBytes},
      {"int4:g128", "50%:block=1x16", "", kBytes},
      {"int4:g128", "50%:rows", "", kBytes},
  };
}

/// A path that the columns of a case allow: ranks of quads are read whole bytes at a time.
MatmulPath expected_path(const Case& what, int64_t cols) {
  const bool quads = what.path == MatmulPath::kQuads4 || what.path == MatmulPath::kQuads8;
  return quads && cols % 32 != 0 ? MatmulPath::kBytes : what.path;
}

PackedMatrix packed(const Case& what, int64_t rows, int64_t cols) {
  ThreadPool pool(1);
  Context context{pool};
  const Matrix values = random_values(rows, cols, 3, 0.1f);
  const auto format = NumberFormat::parse(what.format, Role::kWeight);
  if (what.pattern.empty()) {
    return pack(quantize(values.view(), format, {}, context), nullptr, std::nullopt, what.layout);
  }
  const auto pattern = SparsityPattern::parse(what.pattern);
  const Mask mask = pattern.select_magnitude(values.view(), context);
  return pack(quantize(values.view(), format, {.mask = &mask}, context), &mask, pattern,
              what.layout);
}

/// y = x W^T in double, and what the sums of magnitudes are that its error is measured by.
struct Expected {
  std::vector<double> y, magnitude;
};

template <typename Input>
Expected expected(const Matrix& w, int64_t tokens, Input&& x) {
  Expected result;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < w.rows(); ++r) {
      double sum = 0, magnitude = 0;
      for (int64_t c = 0; c < w.cols(); ++c) {
        const double product = static_cast<double>(w(r, c)) * x(t, c);
        sum += product;
        magnitude += std::fabs(product);
      }
      result.y.push_back(sum);
      result.magnitude.push_back(magnitude);
    }
  }
  return result;
}

/// `terms`: how many roundings the worst term goes through.
void expect_near(const Matrix& y, const Expected& expected, int64_t terms) {
  const double bound = static_cast<double>(terms) * std::numeric_limits<float>::epsilon();
  for (int64_t i = 0; i < y.size(); ++i) {
    const auto at = static_cast<size_t>(i);
    ASSERT_LE(std::fabs(y.data()[i] - expected.y[at]), bound * expected.magnitude[at] + 1e-30)
        << "token " << i / y.cols() << ", output " << i % y.cols();
  }
}

Matrix product(const MatmulWeight& weight, const PreparedInputs& x) {
  Matrix y(x.tokens(), weight.rows());
  // In a thread of its own, whose scratch is as large as this product asks for: what is read past
  // it is then found by AddressSanitizer.
  std::thread([&] { packed_matmul(weight, x, {0, weight.rows()}, y.view()); }).join();
  return y;
}

Matrix unpacked(const PackedMatrix& matrix) {
  Matrix values(matrix.rows(), matrix.cols());
  matrix.unpack_rows(0, values.view());
  return values;
}

class PackedMatmul : public PerIsa {};

// With and without whole blocks of 512, on which the order of ranks depends.
constexpr int64_t kColumns[] = {32, 50, 64, 100, 128, 160, 320, 352, 512, 544, 672, 1000, 1184};

TEST_P(PackedMatmul, TakesTheRowOfTheInstructionSet) {
  EXPECT_TRUE(is_forced(packed_matmul_kernel())) << packed_matmul_kernel();
}

TEST_P(PackedMatmul, FloatInputsMeetTheSimulatedValues) {
  for (const Case& what : cases()) {
    for (const int64_t cols : {50, 352}) {
      SCOPED_TRACE(testing::PrintToString(what) + ", columns " + std::to_string(cols));
      const MatmulWeight weight(packed(what, 37, cols));
      const Matrix w = unpacked(weight.matrix());
      for (const int64_t tokens : {1, 3, 17}) {
        const Matrix x = random_values(tokens, cols, 4);
        PreparedInputs inputs;
        inputs.set_floats(x.view());
        expect_near(product(weight, inputs),
                    expected(w, tokens, [&](int64_t t, int64_t c) { return x(t, c); }), cols);
      }
    }
  }
}

TEST_P(PackedMatmul, DecodedRowsAreTheSimulatedOnes) {
  for (const Case& what : cases()) {
    for (const int64_t cols : kColumns) {
      SCOPED_TRACE(testing::PrintToString(what) + ", columns " + std::to_string(cols));
      const MatmulWeight weight(packed(what, 19, cols));
      const Matrix w = unpacked(weight.matrix());
      Matrix decoded(11, cols);
      weight.decode_rows(8, decoded.view());
      EXPECT_EQ(0, std::memcmp(decoded.data(), w.row(8), sizeof(float) * 11 * cols));
    }
  }
}

TEST_P(PackedMatmul, Int8InputsAreSummedExactly) {
  for (const Case& what : cases()) {
    for (const int64_t cols : kColumns) {
      SCOPED_TRACE(testing::PrintToString(what) + ", columns " + std::to_string(cols));
      const MatmulWeight weight(packed(what, 21, cols));
      EXPECT_EQ(weight.path(), expected_path(what, cols));
      const Matrix w = unpacked(weight.matrix());
      for (const int64_t tokens : {1, 2, 3, 7, 16}) {
        const Matrix x = random_values(tokens, cols, 5);
        PreparedInputs inputs;
        inputs.set_int8(x.view(), {&weight});
        const auto input = [&](int64_t t, int64_t c) {
          return static_cast<double>(inputs.code(t, c)) * inputs.scale(t, c);
        };
        // A float32 rounding of each run of 16 columns or more, and those of scales and zero
        // points; in float32 wherever there are no integers.
        const int64_t terms = weight.path() == MatmulPath::kFloats ? cols : cols / 16 + 16;
        expect_near(product(weight, inputs), expected(w, tokens, input), terms);
      }
    }
  }
}

TEST_P(PackedMatmul, ManyTokens) {
  for (const Case& what : cases()) {
    for (const int64_t cols : {50, 160, 672, 1184}) {
      SCOPED_TRACE(testing::PrintToString(what) + ", columns " + std::to_string(cols));
      const int64_t rows = cols == 160 ? 150 : 21;
      const MatmulWeight weight(packed(what, rows, cols));
      const Matrix w = unpacked(weight.matrix());
      for (const int64_t tokens : {8, 23}) {
        const Matrix x = random_values(tokens, cols, 6);
        PreparedInputs inputs;
        inputs.set_int8(x.view(), {&weight});
        const auto input = [&](int64_t t, int64_t c) {
          return static_cast<double>(inputs.code(t, c)) * inputs.scale(t, c);
        };
        const int64_t terms = weight.path() == MatmulPath::kFloats ? cols : cols / 16 + 16;
        expect_near(product(weight, inputs), expected(w, tokens, input), terms);
      }
    }
  }
}

TEST_P(PackedMatmul, GivenCodesReachMinus128) {
  for (const Case& what : cases()) {
    for (const int64_t cols : {50, 352, 672}) {
      SCOPED_TRACE(testing::PrintToString(what) + ", columns " + std::to_string(cols));
      const MatmulWeight weight(packed(what, 21, cols));
      const Matrix w = unpacked(weight.matrix());
      const int64_t tokens = cols == 672 ? 10 : 5;
      std::vector<int8_t> codes(static_cast<size_t>(tokens * cols));
      for (size_t i = 0; i < codes.size(); ++i) {
        codes[i] = static_cast<int8_t>(i % 3 == 0 ? -128 : static_cast<int>(i * 37 % 256) - 128);
      }
      std::vector<float> scales = {1.0f, 0.5f, 0.3f, 7e-3f, 2.0f, 1.0f, 0.5f, 0.3f, 7e-3f, 2.0f};
      scales.resize(static_cast<size_t>(tokens));
      PreparedInputs inputs;
      const MatmulWeight* reader = &weight;
      inputs.set_int8_tokens(codes, scales, {&reader, 1});
      const auto input = [&](int64_t t, int64_t c) {
        return static_cast<double>(codes[static_cast<size_t>(t * cols + c)]) *
               scales[static_cast<size_t>(t)];
      };
      expect_near(product(weight, inputs), expected(w, tokens, input), cols);
    }
  }
}

TEST_P(PackedMatmul, SplitsOfOutputsGiveTheSameBits) {
  const int64_t rows = 3 * kMatmulPiece + 17, cols = 224;
  for (const Case& what : {cases()[0], cases()[8], cases()[13], Case{"int8", "2:4", "n_of_m"},
                           Case{"int4:g128", "2:4", "n_of_m"}, Case{"nf4"}}) {
    SCOPED_TRACE(testing::PrintToString(what));
    const MatmulWeight weight(packed(what, rows, cols));
    for (const int64_t tokens : {1, 5, 40}) {
      const Matrix x = random_values(tokens, cols, 7);
      for (const bool quantized : {false, true}) {
        PreparedInputs inputs;
        quantized ? inputs.set_int8(x.view(), {&weight}) : inputs.set_floats(x.view());
        const Matrix whole = product(weight, inputs);
        Matrix pieces(tokens, rows);
        for (int64_t piece = 0; piece < matmul_pieces(weight); ++piece) {
          packed_matmul(weight, inputs, piece_outputs(weight, piece), pieces.view());
        }
        EXPECT_EQ(0, std::memcmp(whole.data(), pieces.data(), sizeof(float) * tokens * rows));
        const int64_t unit = matmul_unit(tokens);
        for (int64_t begin = 0; begin < rows; begin += unit) {
          packed_matmul(weight, inputs, {begin, std::min(rows, begin + unit)}, pieces.view());
        }
        EXPECT_EQ(0, std::memcmp(whole.data(), pieces.data(), sizeof(float) * tokens * rows));
        packed_matmul(weight, inputs, {kMatmulPiece, kMatmulPiece + 5}, pieces.view(),
                      MatmulOutput::kAdd);
        EXPECT_EQ(pieces(0, kMatmulPiece + 4), 2 * whole(0, kMatmulPiece + 4));
        EXPECT_EQ(pieces(0, kMatmulPiece + 5), whole(0, kMatmulPiece + 5));
      }
    }
  }
}

// Integer sums have no row for AVX-512 without VNNI: AVX2's serves it.
INSTANTIATE_TEST_SUITE_P(Isa, PackedMatmul,
                         testing::Values(Isa::kPortable, Isa::kAvx2, Isa::kAvx512Vnni),
                         isa_test_name);

TEST(PreparedInputs, ZeroAndTinyGroupsAreZero) {
  Matrix x = Matrix::zeros(2, 64);
  for (int64_t c = 0; c < 32; ++c) x(1, c) = 1e-40f;
  x(1, 40) = -3.0f;
  PreparedInputs inputs;
  inputs.set_int8(x.view(), {});
  for (int64_t c = 0; c < 64; ++c) {
    EXPECT_EQ(inputs.code(0, c), 0);
    EXPECT_EQ(inputs.code(1, c), c == 40 ? -127 : 0);
  }
  EXPECT_EQ(inputs.scale(1, 40), 3.0f / 127.0f);
}

TEST(PackedMatmulErrors, ShapesAndRanges) {
  const MatmulWeight weight(packed({"int8"}, 150, 64));
  const Matrix x = random_values(2, 64, 8);
  const Matrix narrow = random_values(2, 63, 8);
  Matrix y(2, 150);
  PreparedInputs inputs;
  inputs.set_floats(narrow.view());
  EXPECT_THROW(packed_matmul(weight, inputs, {0, 150}, y.view()), Error);
  inputs.set_floats(x.view());
  EXPECT_THROW(packed_matmul(weight, inputs, {8, 150}, y.view()), Error);
  EXPECT_THROW(packed_matmul(weight, inputs, {0, 151}, y.view()), Error);
  EXPECT_NO_THROW(packed_matmul(weight, inputs, {128, 150}, y.view()));
}

}  // namespace
}  // namespace scant
