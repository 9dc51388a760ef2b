#include "ops/quantize/value_rounder.h"

namespace scant {
namespace {

NumberFormat nearest(NumberFormat format) {
  format.stochastic = false;
  return format;
}

}  // namespace

ValueRounder::ValueRounder(const NumberFormat& format)
    : format_(nearest(format)), plan_(QuantizePlan::make(format_)) {}

void ValueRounder::round(const QuantizeEach& each) const {
  if (plan_ != nullptr) return plan_->kernels().round_each(plan_->grid(), each);
  if (!format_.is_plain()) {
    return kQuantizeReference.round_each(
        {.family = QuantizeGrid::Family::kOther, .unit = 1.0f, .format = &format_}, each);
  }
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (UncodedElement<T>) {
          for (int64_t i = 0; i < each.count; ++i) {
            each.simulated[i] = element.round(each.values[i]);
          }
        }
      },
      format_.element);
}

}  // namespace scant
