#include "compress/interplay/calibration_inputs.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace scant {
namespace {

constexpr int64_t kMostTokens = 512;
constexpr int64_t kFewestTokens = 16;
constexpr int64_t kMostWindows = 8;
constexpr int64_t kMemory = int64_t{256} << 20;

/// Copies evenly spaced rows of every layer's input: sample s fills rows [s * each, (s + 1) *
/// each).
class InputTap : public Tap {
 public:
  InputTap(const std::vector<LinearInfo>& layers, int64_t windows, int64_t tokens)
      : each_(tokens / windows) {
    for (const LinearInfo& info : layers) {
      inputs_.emplace(info.name, std::make_shared<Matrix>(each_ * windows, info.inputs));
    }
  }

  void linear_input(const LinearInfo& info, ConstMatrixView input, int64_t sample) override {
    Matrix& rows = *inputs_.at(info.name);
    for (int64_t i = 0; i < each_; ++i) {
      const int64_t position = (2 * i + 1) * input.rows / (2 * each_);
      std::copy_n(input.row(position), input.cols, rows.row(sample * each_ + i));
    }
  }

  std::map<std::string, std::shared_ptr<Matrix>>& inputs() { return inputs_; }

 private:
  int64_t each_;
  std::map<std::string, std::shared_ptr<Matrix>> inputs_;
};

bool equal(const Matrix& a, const Matrix& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), static_cast<size_t>(a.size()) * sizeof(float)) == 0;
}

int64_t windows_used(const TextWindows& text) { return std::min(kMostWindows, text.size()); }

}  // namespace

int64_t calibration_tokens(const Model& model, const TextWindows& text) {
  int64_t bytes_per_token = 0;
  for (const LinearInfo& info : model.linears()) bytes_per_token += 4 * info.inputs;
  const int64_t windows = windows_used(text);
  const int64_t fitting =
      std::clamp(kMemory / std::max<int64_t>(1, bytes_per_token), kFewestTokens, kMostTokens);
  const int64_t window = text.window();
  return std::clamp<int64_t>(fitting / windows, 1, window) * windows;
}

CalibrationInputs collect_inputs(const Model& model, const TextWindows& text, Context& context) {
  const int64_t windows = windows_used(text);
  CalibrationInputs result;
  result.tokens = calibration_tokens(model, text);
  std::vector<State> states;
  for (int64_t w = 0; w < windows; ++w) {
    states.push_back(text.sample((2 * w + 1) * text.size() / (2 * windows)).state);
  }
  const std::vector<LinearInfo> layers = model.linears();
  InputTap tap(layers, windows, result.tokens);
  run_stages(model, model.weights(), states, &tap, context);
  std::shared_ptr<const Matrix> last;
  for (const LinearInfo& info : layers) {
    std::shared_ptr<const Matrix> own = std::move(tap.inputs().at(info.name));
    if (last && equal(*own, *last)) own = last;
    last = own;
    result.by_layer.emplace(info.name, std::move(own));
  }
  return result;
}

}  // namespace scant
