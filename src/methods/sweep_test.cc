#include "methods/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "formats/size.h"
#include "methods/calibrated_test.h"
#include "methods/joint/joint_solver.h"
#include "methods/orders.h"
#include "methods/random_blocks_test.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

using testing::HasSubstr;

using SweepTest = CalibratedTest;

TEST_F(SweepTest, CompensationLowersTheErrorOfTheOutput) {
  for (const char* format : {"int4:g128", "int3", "mxfp4", "nf4"}) {
    EXPECT_LT(*compress(nullptr, format, "", "gptq").output_error,
              0.9 * *compress(nullptr, format, "", "rtn").output_error)
        << format;
  }
  for (const char* pattern : {"50%", "50%:row", "2:4", "50%:block=1x16", "50%:cols"}) {
    const double sweep = *compress(pattern, nullptr, "sparsegpt", "").output_error;
    EXPECT_LT(sweep, 0.9 * *compress(pattern, nullptr, "magnitude", "").output_error) << pattern;
    EXPECT_LT(sweep, *compress(pattern, nullptr, "wanda", "").output_error) << pattern;
  }
}

TEST_F(SweepTest, BothAtOnceAreBetterThanCompensatingForOneOnly) {
  const double joint =
      *compress("2:4", "int3:g64", "magnitude", "rtn", Order::kJoint, "one-pass").output_error;
  EXPECT_LT(joint, *compress("2:4", "int3:g64", "sparsegpt", "rtn").output_error);
  EXPECT_LT(joint, *compress("2:4", "int3:g64", "wanda", "gptq").output_error);
}

TEST_F(SweepTest, TheSecondStepKeepsWhatTheFirstMade) {
  for (const Pruner& pruner : all_pruners()) {
    const std::string name(pruner.name);
    // Quantizing after pruning keeps the mask.
    const CompressedMatrix pruned = compress("2:4", nullptr, name, "");
    const CompressedMatrix both = compress("2:4", "int4:g32", name, "gptq");
    EXPECT_EQ(*both.mask, *pruned.mask) << name;
    // Pruning after quantizing keeps the scales, and every value on their grid.
    const CompressedMatrix dense = compress(nullptr, "int4:g32", "", "gptq");
    const CompressedMatrix second =
        compress("2:4", "int4:g32", name, "gptq", Order::kQuantizeFirst);
    EXPECT_EQ(second.quantized->scales, dense.quantized->scales) << name;
    Matrix decoded(weight.rows(), weight.cols());
    dequantize(*second.quantized, decoded.view());
    for (int64_t i = 0; i < weight.size(); ++i) {
      ASSERT_EQ(decoded.data()[i], second.values.data()[i]) << name;
    }
  }
}

TEST_F(SweepTest, AMatchedTargetMakesGoodForChangedInputs) {
  // X = Y / 2: the weight that gives the dense outputs is 2 W; a quarter of the way is 1.25 W.
  const Matrix dense = random_gram(200, 600, 3);
  Matrix gram = Matrix::copy_of(dense.view()), cross = Matrix::copy_of(dense.view());
  for (int64_t i = 0; i < gram.size(); ++i) {
    gram.data()[i] /= 4;
    cross.data()[i] /= 2;
  }
  const InputStatistics changed(std::move(gram), std::move(cross));
  const Matrix target = changed.matched_target(weight.view(), context);
  Matrix expected = Matrix::copy_of(weight.view());
  for (int64_t i = 0; i < expected.size(); ++i) expected.data()[i] *= 1.25f;
  // Damping holds back directions that the inputs hardly have.
  EXPECT_LT(relative_output_error(expected.view(), target.view(), changed, context), 0.02);
  EXPECT_EQ(inputs.matched_target(weight.view(), context).size(), 0);
}

TEST_F(SweepTest, ScantNeverEndsAboveOnePassOrAlpsThenGptqAndKeepsPatternAndGrid) {
  int64_t below = 0, all = 0;
  for (const char* pattern : {"50%", "50%:row", "2:4", "3:7", "50%:block=1x16", "50%:cols"}) {
    for (const char* format : {"int4:g128", "int3:g32:asym", "int4", "int4:tensor", "mxfp4",
                               "nvfp4", "nf4", "hbfp4", "ternary", "binary", "bf16"}) {
      const std::string what = std::string(pattern) + " " + format;
      const auto both = SparsityPattern::parse(pattern);
      if (layout_refusal(NumberFormat::parse(format, Role::kWeight), both)) continue;
      const CompressedMatrix one =
          compress(pattern, format, "magnitude", "rtn", Order::kJoint, "one-pass");
      const CompressedMatrix ours =
          compress(pattern, format, "magnitude", "rtn", Order::kJoint, "scant");
      const CompressedMatrix apart = compress(pattern, format, "alps", "gptq");
      ASSERT_LE(*ours.output_error, *one.output_error * (1 + 1e-5)) << what;
      ASSERT_LE(*ours.output_error, *apart.output_error * (1 + 1e-5)) << what;
      ASSERT_TRUE(both.allows(*ours.mask)) << what;
      EXPECT_EQ(ours.mask->kept(), one.mask->kept()) << what;
      Matrix decoded(weight.rows(), weight.cols());
      dequantize(*ours.quantized, decoded.view());
      for (int64_t i = 0; i < weight.size(); ++i) {
        const bool is_kept = ours.mask->keep[static_cast<size_t>(i)] != 0;
        ASSERT_EQ(is_kept ? decoded.data()[i] : 0.0f, ours.values.data()[i]) << what;
      }
      ++all;
      below += *ours.output_error < 0.97 * *one.output_error;
    }
  }
  EXPECT_GT(below, all / 2) << "of " << all;
}

TEST_F(SweepTest, HardlyAnySingleCodeImprovesAMatrixThatHasDescended) {
  const CompressedMatrix ours = compress("2:4", "int4", "magnitude", "rtn", Order::kJoint, "scant");
  const double least = output_squared_error(weight.view(), ours.values.view(), inputs, context);
  Matrix changed = Matrix::copy_of(ours.values.view());
  int64_t better = 0, tried = 0;
  for (int64_t r = 0; r < weight.rows(); r += 5) {
    const float step = ours.quantized->block_scale(r, ours.quantized->block_of(r, 0)).scale;
    for (int64_t c = 0; c < weight.cols(); c += 7) {
      if ((*ours.mask)(r, c) == 0) continue;
      for (const float by : {-step, step}) {
        changed(r, c) = ours.values(r, c) + by;
        if (std::fabs(changed(r, c)) > 7.5f * step) continue;  // no code
        ++tried;
        better += output_squared_error(weight.view(), changed.view(), inputs, context) <
                  least * (1 - 1e-6);
      }
      changed(r, c) = ours.values(r, c);
    }
  }
  EXPECT_LE(better, tried / 25);
}

TEST_F(SweepTest, WithUncorrelatedInputsThereIsNothingToCompensate) {
  Matrix gram = Matrix::zeros(200, 200);
  for (int64_t c = 0; c < 200; ++c) gram(c, c) = 1.0f + static_cast<float>(c % 5);
  const InputStatistics diagonal(std::move(gram));
  const Statistics apart{&diagonal};
  CompressionSpec rtn;
  rtn.format = NumberFormat::parse("int4:g64", Role::kWeight);
  CompressionSpec gptq = rtn;
  gptq.quantizer = "gptq";
  const CompressedMatrix nearest = compress_matrix(weight.view(), rtn, apart, context);
  const CompressedMatrix sweep = compress_matrix(weight.view(), gptq, apart, context);
  EXPECT_EQ(sweep.quantized->codes, nearest.quantized->codes);
  CompressionSpec wanda;
  wanda.pattern = SparsityPattern::parse("4:8");
  wanda.pruner = "wanda";
  CompressionSpec sparsegpt = wanda;
  sparsegpt.pruner = "sparsegpt";
  // Damping of 1% shifts the weights' importance a little: ranks of equal products may change.
  const Mask by_product = *compress_matrix(weight.view(), wanda, apart, context).mask;
  const Mask by_sweep = *compress_matrix(weight.view(), sparsegpt, apart, context).mask;
  int64_t different = 0;
  for (size_t i = 0; i < by_sweep.keep.size(); ++i) {
    different += by_sweep.keep[i] != by_product.keep[i];
  }
  EXPECT_LT(different, weight.size() / 50);
}

TEST_F(SweepTest, ResultsDoNotDependOnTheNumberOfThreads) {
  ThreadPool one(1);
  Context alone{one};
  for (const char* pattern : {"50%", "2:4", "3:7"}) {
    CompressionSpec spec;
    spec.pattern = SparsityPattern::parse(pattern);
    spec.format = NumberFormat::parse("int4:g32", Role::kWeight);
    spec.order = Order::kJoint;
    spec.joint = "one-pass";
    const CompressedMatrix a = compress_matrix(weight.view(), spec, statistics, alone);
    const CompressedMatrix b = compress_matrix(weight.view(), spec, statistics, context);
    EXPECT_EQ(a.quantized->codes, b.quantized->codes) << pattern;
    EXPECT_EQ(*a.mask, *b.mask) << pattern;
    EXPECT_EQ(a.output_error, b.output_error) << pattern;
  }
}

TEST_F(SweepTest, InPlaceGivesWhatItGivesInOtherMemory) {
  const SparsityPattern half = SparsityPattern::parse("50%"), pairs = SparsityPattern::parse("2:4");
  const QuantizedMatrix grid =
      quantize_matrix(weight.view(), NumberFormat::parse("int4:g32", Role::kWeight), {}, context);
  const GramFactor& forward = inputs.factor(context);
  const GramFactor& by_norm = inputs.factor_by_norm(context);
  for (const Sweep& sweep : {Sweep{.factor = forward, .pattern = &pairs, .grid = &grid},
                             Sweep{.factor = forward, .pattern = &half},
                             Sweep{.factor = by_norm, .pattern = &half, .grid = &grid},
                             Sweep{.factor = by_norm, .grid = &grid}}) {
    Matrix apart(weight.rows(), weight.cols()), place = Matrix::copy_of(weight.view());
    const Mask mask = run_sweep(sweep, weight.view(), apart.view(), context);
    EXPECT_EQ(run_sweep(sweep, place.view(), place.view(), context), mask);
    EXPECT_TRUE(std::ranges::equal(apart.values(), place.values()));
    EXPECT_FALSE(std::ranges::equal(apart.values(), weight.values()));
  }
}

TEST_F(SweepTest, PatternsKeepAsManyWeightsAsWithoutASweep) {
  for (const SparsityPattern& pattern : SparsityPattern::examples()) {
    const std::string spelling = pattern.spelling();
    const CompressedMatrix sweep = compress(spelling.c_str(), nullptr, "sparsegpt", "");
    ASSERT_TRUE(pattern.allows(*sweep.mask)) << spelling;
    if (pattern.family() == "unstructured" || pattern.family() == "n_of_m") {
      EXPECT_EQ(sweep.mask->kept(), pattern.most_kept(weight.rows(), weight.cols())) << spelling;
    }
  }
}

TEST_F(SweepTest, MethodsSayThatTheyNeedCalibrationOrRefuseStochasticRounding) {
  CompressionSpec spec;
  spec.format = NumberFormat::parse("int4:stoch", Role::kWeight);
  spec.quantizer = "gptq";
  EXPECT_THAT(*refusal(spec), HasSubstr("\"gptq\" chooses the codes itself"));
  spec.format = NumberFormat::parse("int4", Role::kWeight);
  try {
    compress_matrix(weight.view(), spec, {}, context);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("needs calibration text"));
  }
}

}  // namespace
}  // namespace scant
