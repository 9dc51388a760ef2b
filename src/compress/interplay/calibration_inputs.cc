#include "compress/interplay/calibration_inputs.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace scant {
namespace {

constexpr int64_t kMostTokens = 512;
constexpr int64_t kFewestTokens = 16;
constexpr int64_t kMostWindows = 8;
constexpr int64_t kMemory = int64_t{256} << 20;

/// Copies evenly spaced rows of every input: sample s fills rows [s * each, (s + 1) * each).
class InputTap : public Tap {
 public:
  InputTap(int64_t windows, int64_t tokens) : windows_(windows), each_(tokens / windows) {}

  void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                    int64_t sample) override {
    const std::shared_ptr<Matrix> rows = rows_of(readers, input.cols);
    for (int64_t i = 0; i < each_; ++i) {
      const int64_t position = (2 * i + 1) * input.rows / (2 * each_);
      std::copy_n(input.row(position), input.cols, rows->row(sample * each_ + i));
    }
  }

  std::map<std::string, std::shared_ptr<const Matrix>, std::less<>> by_layer;

 private:
  /// One matrix for all layers that read the same input.
  std::shared_ptr<Matrix> rows_of(std::span<const LinearLayer> readers, int64_t features) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Matrix>& rows = by_first_reader_[readers.front().info.name];
    if (!rows) {
      rows = std::make_shared<Matrix>(each_ * windows_, features);
      for (const LinearLayer& layer : readers) by_layer.emplace(layer.info.name, rows);
    }
    return rows;
  }

  int64_t windows_, each_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Matrix>, std::less<>> by_first_reader_;
};

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
  InputTap tap(windows, result.tokens);
  run_stages(model, model.weights(), states, &tap, context);
  result.by_layer = std::move(tap.by_layer);
  return result;
}

}  // namespace scant
