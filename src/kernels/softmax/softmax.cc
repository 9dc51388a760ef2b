#include "kernels/softmax/softmax.h"

#include <array>
#include <cmath>

#include "kernels/select.h"
#include "kernels/softmax/rows.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<SoftmaxRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512, &kSoftmaxAvx512}, {Isa::kAvx2, &kSoftmaxAvx2},
#endif
      {Isa::kPortable, &kSoftmaxReference},
});

int64_t length(std::span<const float> x) { return static_cast<int64_t>(x.size()); }

// e^(from - to), 0 for the empty state.
double rescale(float from, float to) {
  return std::isinf(from) ? 0.0 : std::exp(static_cast<double>(from) - static_cast<double>(to));
}

// Raises the running maximum of `state` to include `x`; returns the factor for sums over what was
// before. A NaN passes through the sums that follow.
double raise(const SoftmaxRow& kernels, OnlineLogSumExp& state, std::span<const float> x) {
  const float max = std::max(state.max, kernels.max(x.data(), length(x)));
  const double factor = max > state.max ? rescale(state.max, max) : 1.0;
  state.max = max;
  state.sum *= factor;
  return factor;
}

}  // namespace

std::string_view softmax_kernel() { return select_kernel(kTable).name; }

void OnlineLogSumExp::add(std::span<const float> logits) {
  if (logits.empty()) return;
  const SoftmaxRow& kernels = select_kernel(kTable);
  raise(kernels, *this, logits);
  sum += kernels.sum_exp(logits.data(), length(logits), max);
}

double OnlineLogSumExp::value() const { return static_cast<double>(max) + std::log(sum); }

void OnlineArgmax::add(std::span<const float> logits, int64_t first) {
  if (logits.empty()) return;
  const SoftmaxRow& kernels = select_kernel(kTable);
  const float largest = kernels.max(logits.data(), length(logits));
  if (index >= 0 && !(largest > value)) return;
  const int64_t at = kernels.find(logits.data(), length(logits), largest);
  if (at == length(logits)) return;
  value = largest;
  index = first + at;
}

void OnlineDivergence::add(std::span<const float> reference_logits,
                           std::span<const float> model_logits) {
  if (reference_logits.empty()) return;
  const SoftmaxRow& kernels = select_kernel(kTable);
  weighted *= raise(kernels, reference, reference_logits);
  reference.sum += kernels.sum_exp_difference(reference_logits.data(), model_logits.data(),
                                              length(reference_logits), reference.max, &weighted);
  model.add(model_logits);
}

double OnlineDivergence::value() const {
  return weighted / reference.sum - reference.value() + model.value();
}

}  // namespace scant
