#include "compress/input_scales.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>

#include "core/error.h"
#include "formats/quantized.h"
#include "models/testing_checkpoint.h"

namespace scant {
namespace {

/// All inputs of one layer, window after window.
class CopyTap : public Tap {
 public:
  explicit CopyTap(std::string layer, size_t windows) : inputs(windows), layer_(std::move(layer)) {}
  void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                    int64_t sample) override {
    for (const LinearLayer& reader : readers) {
      if (reader.info.name == layer_) inputs[static_cast<size_t>(sample)] = Matrix::copy_of(input);
    }
  }
  std::vector<Matrix> inputs;

 private:
  std::string layer_;
};

class InputScalesTest : public testing::Test {
 protected:
  InputScalesTest() : model_(Model::open(fixture("llama"))), pool_(2), context_{.threads = pool_} {
    for (int32_t w = 0; w < 5; ++w) {
      std::vector<int32_t> window;
      for (int32_t i = 0; i < 9; ++i) window.push_back((7 * w + 3 * i) % 32);
      calibration_.windows.push_back(window);
    }
  }

  InputQuantizations made(const std::string& format, const std::string& method,
                          bool calibrated = true) {
    Recipe recipe;
    recipe.steps = {{StepKind::kActivations,
                     std::nullopt,
                     NumberFormat::parse(format, Role::kActivation),
                     method,
                     {}}};
    const CompressionPlan plan = make_plan(*model_, recipe);
    return input_quantizations(*model_, model_->weights(), plan,
                               calibrated ? &calibration_ : nullptr, context_);
  }

  Matrix inputs_of(const std::string& layer) {
    std::vector<State> states(calibration_.windows.size());
    for (size_t i = 0; i < states.size(); ++i) states[i].tokens = calibration_.windows[i];
    CopyTap tap(layer, states.size());
    run_stages(*model_, model_->weights(), states, &tap, context_);
    Matrix all(static_cast<int64_t>(states.size()) * 9, tap.inputs[0].cols());
    for (size_t i = 0; i < states.size(); ++i) {
      std::copy_n(tap.inputs[i].data(), tap.inputs[i].size(), all.row(static_cast<int64_t>(9 * i)));
    }
    return all;
  }

  std::unique_ptr<Model> model_;
  ThreadPool pool_;
  Context context_;
  Calibration calibration_;
};

TEST_F(InputScalesTest, AStaticScaleIsThatOfAllInputsAsOneTensor) {
  for (const char* spelling : {"int8:tensor", "int4:tensor:asym"}) {
    const InputQuantizations inputs = made(spelling, "static");
    ASSERT_EQ(inputs.size(), model_->linears().size());
    for (const LinearInfo& info : model_->linears()) {
      const Matrix x = inputs_of(info.name);
      const auto format = NumberFormat::parse(spelling, Role::kActivation);
      const QuantizedMatrix expected = quantize(x.view(), format, {}, context_);
      const BlockScale& scale = inputs.at(info.name).scale.value();
      EXPECT_EQ(scale.scale, expected.scales[0]) << info.name;
      if (!expected.zero_points.empty()) {
        EXPECT_EQ(scale.zero_point, expected.zero_points[0]);
      }
    }
  }
}

TEST_F(InputScalesTest, TheSearchedScaleLosesLessThanTheLargestMagnitude) {
  const InputQuantizations plain = made("int4:tensor", "static");
  const InputQuantizations searched = made("int4:tensor:mse", "static");
  int smaller = 0;
  for (const LinearInfo& info : model_->linears()) {
    const Matrix x = inputs_of(info.name);
    const auto loss = [&](const InputQuantization& input) {
      Matrix y(x.rows(), x.cols());
      input.apply(x.view(), y.view());
      double sum = 0;
      for (int64_t i = 0; i < x.size(); ++i) sum += std::pow(x.data()[i] - y.data()[i], 2);
      return sum;
    };
    smaller += loss(searched.at(info.name)) < loss(plain.at(info.name)) ? 1 : 0;
    EXPECT_LE(searched.at(info.name).scale->scale, plain.at(info.name).scale->scale);
  }
  EXPECT_GT(smaller, static_cast<int>(model_->linears().size()) / 2);
}

TEST_F(InputScalesTest, ColumnMaximaAreThoseOfTheInputs) {
  const InputQuantizations inputs = made("int8", "crossquant:0.3");
  for (const LinearInfo& info : model_->linears()) {
    const Matrix x = inputs_of(info.name);
    const CrossScales& cross = *inputs.at(info.name).cross;
    EXPECT_EQ(cross.alpha(), 0.3f);
    for (int64_t c = 0; c < x.cols(); ++c) {
      float largest = 0;
      for (int64_t r = 0; r < x.rows(); ++r) largest = std::max(largest, std::fabs(x(r, c)));
      EXPECT_EQ(cross.column_maxima()[static_cast<size_t>(c)], largest);
    }
  }
}

TEST_F(InputScalesTest, WhatIsMeasuredNeedsCalibration) {
  EXPECT_EQ(made("int8:tensor", "", false).size(), model_->linears().size());
  EXPECT_THAT(message_of([&] { made("int8:tensor", "static", false); }),
              testing::HasSubstr("--calibration"));
}

}  // namespace
}  // namespace scant
