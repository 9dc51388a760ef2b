#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "kernels/activation/activation.h"
#include "models/gradients/feed_forward_gradient.h"
#include "models/testing_checkpoint.h"

namespace scant {
namespace {

std::vector<std::string> model_names() {
  std::vector<std::string> names = fixture_names();
  names.emplace_back("rotated_down");
  return names;
}

std::unique_ptr<Model> open_model(const std::string& name) {
  if (name != "rotated_down") return Model::open(fixture(name));
  LinearInputs inputs;  // of a fixture with 44 values there
  inputs.rotations.emplace("model.layers.0.mlp.down_proj", std::make_shared<Rotation>(44, 1));
  return Model::from_checkpoint(Checkpoint::open(fixture("llama")), std::move(inputs));
}

Matrix random_matrix(int64_t rows, int64_t cols, uint64_t stream) {
  const CounterRandom random(3, stream);
  Matrix matrix(rows, cols);
  for (int64_t i = 0; i < matrix.size(); ++i) {
    matrix.data()[i] = random.normal(static_cast<uint64_t>(i));
  }
  return matrix;
}

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

constexpr int64_t kTokens = 7;
constexpr int64_t kWindows = 3;

class Gradients : public testing::TestWithParam<std::string> {
 protected:
  Gradients() : model_(open_model(GetParam())) {
    for (const auto& stage : model_->stages()) {
      if (stage_ == nullptr && !stage->linears().empty() &&
          stage->differentiable(model_->weights()) != nullptr) {
        stage_ = stage.get();
      }
    }
    x_ = random_matrix(kWindows * kTokens, model_->facts().hidden, 1);
    direction_ = random_matrix(x_.rows(), x_.cols(), 2);
  }

  /// A linear function of the outputs, whose gradient is direction_.
  double loss(DifferentiableStage& block) {
    const ConstMatrixView y = block.forward(x_.view(), kTokens, context_);
    double sum = 0;
    for (int64_t r = 0; r < y.rows; ++r) sum += dot(y.row_span(r), direction_.row_span(r));
    return sum;
  }

  /// The slope along the gradient itself, by central differences, against its squared length.
  void expect_slope(DifferentiableStage& block, std::span<float> values,
                    const std::vector<float>& gradient, const std::string& name) {
    const double squared = dot(gradient, gradient);
    if (std::sqrt(squared) < 1e-4) return;  // keys' biases: the softmax does not see them
    const std::vector<float> start(values.begin(), values.end());
    const double step = 2e-3 / std::sqrt(squared);
    const auto moved = [&](double by) {
      for (size_t i = 0; i < start.size(); ++i) {
        values[i] = static_cast<float>(start[i] + by * gradient[i]);
      }
      return loss(block);
    };
    const double slope = (moved(step) - moved(-step)) / (2 * step);
    std::ranges::copy(start, values.begin());
    EXPECT_NEAR(slope / squared, 1.0, 0.02) << name << ", length " << std::sqrt(squared);
  }

  std::unique_ptr<Model> model_;
  const Stage* stage_ = nullptr;
  ThreadPool threads_{2};
  Context context_{.threads = threads_};
  Matrix x_, direction_;
};

TEST_P(Gradients, OutputsAreThoseOfTheStageItself) {
  const auto block = stage_->differentiable(model_->weights());
  const ConstMatrixView y = block->forward(x_.view(), kTokens, context_);
  const auto loaded = stage_->load(model_->weights());
  for (int64_t window = 0; window < kWindows; ++window) {
    State state;
    state.tokens.resize(kTokens);
    state.hidden = Matrix::copy_of(x_.view().rows_from(window * kTokens, kTokens));
    loaded->run(state, 0, nullptr);
    for (int64_t t = 0; t < kTokens; ++t) {
      for (int64_t c = 0; c < y.cols; ++c) {
        ASSERT_NEAR(y(window * kTokens + t, c), state.hidden(t, c), 2e-5);
      }
    }
  }
}

TEST_P(Gradients, AreTheSlopesOfTheLoss) {
  const auto block = stage_->differentiable(model_->weights());
  loss(*block);
  block->backward(direction_.view(), context_);
  std::vector<std::vector<float>> gradients;
  for (const MatrixParameter* matrix : block->matrices()) {
    gradients.emplace_back(matrix->gradient.values().begin(), matrix->gradient.values().end());
  }
  for (const VectorParameter* vector : block->vectors()) gradients.push_back(vector->gradient);
  size_t next = 0;
  for (MatrixParameter* matrix : block->matrices()) {
    expect_slope(*block, matrix->value.values(), gradients[next++], matrix->name);
  }
  for (VectorParameter* vector : block->vectors()) {
    expect_slope(*block, vector->value, gradients[next++], vector->tensor);
  }
}

TEST_P(Gradients, DoNotDependOnThreads) {
  std::vector<std::vector<float>> found;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    Context context{.threads = pool};
    const auto block = stage_->differentiable(model_->weights());
    block->forward(x_.view(), kTokens, context);
    block->backward(direction_.view(), context);
    std::vector<float> all;
    for (const MatrixParameter* matrix : block->matrices()) {
      all.insert(all.end(), matrix->gradient.values().begin(), matrix->gradient.values().end());
    }
    for (const VectorParameter* vector : block->vectors()) {
      all.insert(all.end(), vector->gradient.begin(), vector->gradient.end());
    }
    found.push_back(std::move(all));
  }
  EXPECT_EQ(found[0], found[1]);
}

INSTANTIATE_TEST_SUITE_P(Models, Gradients, testing::ValuesIn(model_names()),
                         [](const auto& test) { return test.param; });

TEST(ActivationSlope, IsTheSlopeOfTheActivation) {
  for (const Activation kind :
       {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kRelu}) {
    for (const float x : {-6.0f, -1.3f, -0.2f, 0.4f, 2.0f, 7.0f}) {
      Matrix around(1, 2);
      constexpr float kStep = 1.0f / 128;
      around(0, 0) = x - kStep;
      around(0, 1) = x + kStep;
      activate(kind, around.view());
      const float slope = (around(0, 1) - around(0, 0)) / (2 * kStep);
      EXPECT_NEAR(activation_slope(kind, x), slope, 2e-4) << x;
    }
  }
}

}  // namespace
}  // namespace scant
