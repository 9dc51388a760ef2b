#pragma once

#include <memory>

#include "formats/number_format.h"
#include "ops/quantize/quantize_plan.h"

namespace scant {

/// Rounds single values to the grid of a format: decode(encode(value)) at a given scale, or the
/// nearest plain value. Equal to the format's definition bit for bit on every instruction set.
class ValueRounder {
 public:
  explicit ValueRounder(const NumberFormat& format);

  /// Scales are not read for plain formats.
  void round(const QuantizeEach& each) const;

 private:
  NumberFormat format_;
  std::unique_ptr<const QuantizePlan> plan_;  // null: only the definition knows the format
};

}  // namespace scant
