#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace scant {

/// One step of Adam (Kingma and Ba, arXiv 1412.6980) with a given rate.
class AdamStep {
 public:
  /// `number` counts from 1.
  AdamStep(double rate, int64_t number)
      : rate_(static_cast<float>(rate / (1.0 - std::pow(kFirst, number)))),
        correction_(static_cast<float>(1.0 / (1.0 - std::pow(kSecond, number)))) {}

  /// How far a parameter moves against its gradient; updates its two moments.
  float change(float gradient, float& first, float& second) const {
    first += (1.0f - kFirst) * (gradient - first);
    second += (1.0f - kSecond) * (gradient * gradient - second);
    return -rate_ * first / (std::sqrt(second * correction_) + kTiny);
  }

 private:
  static constexpr float kFirst = 0.9f;
  static constexpr float kSecond = 0.99f;
  static constexpr float kTiny = 1e-12f;
  float rate_, correction_;
};

/// The moments of some parameters.
struct AdamMoments {
  std::vector<float> first, second;

  AdamMoments() = default;
  explicit AdamMoments(size_t count) : first(count, 0.0f), second(count, 0.0f) {}
  float change(size_t i, float gradient, const AdamStep& step) {
    return step.change(gradient, first[i], second[i]);
  }
};

}  // namespace scant
