#pragma once

#include <cstdint>
#include <memory>

#include "formats/number_format.h"
#include "formats/scale.h"
#include "ops/quantize/quantize_kernels.h"

namespace scant {

/// How kernels quantize matrices of one format: decided once, before the first row. Scales come
/// from the format's own definition (formats/block_codec.h), codes and values from kernels that are
/// equal to it bit for bit.
class QuantizePlan {
 public:
  /// Null for the formats that only the definition itself knows: plain values, stochastic rounding,
  /// scales from a mean magnitude (ternary, binary), super-blocks.
  static std::unique_ptr<const QuantizePlan> make(const NumberFormat& format);

  virtual ~QuantizePlan() = default;
  QuantizePlan(const QuantizePlan&) = delete;
  QuantizePlan& operator=(const QuantizePlan&) = delete;

  const NumberFormat& format() const { return format_; }
  const QuantizeGrid& grid() const { return grid_; }
  const QuantizeKernels& kernels() const { return *kernels_; }
  bool has_zero_points() const { return rules_.zero_point; }
  bool two_level() const { return rules_.two_level; }

  /// Second-level scale for the largest magnitude of a tensor (or token).
  virtual float tensor_scale(float absmax) const = 0;
  /// Stored scales and zero points (null unless has_zero_points()) of `blocks` blocks.
  virtual void choose(const QuantizeRanges& ranges, int64_t blocks, float tensor_scale,
                      float* stored, int32_t* zero_points) const = 0;
  /// Scales that `:mse` compares, and one of them.
  virtual int candidates() const = 0;
  virtual BlockScale candidate(const BlockStatistics& statistics, float tensor_scale,
                               int index) const = 0;

 protected:
  QuantizePlan(const NumberFormat& format, const ElementRules& rules, QuantizeGrid grid);

 private:
  NumberFormat format_;
  ElementRules rules_;
  QuantizeGrid grid_;
  const QuantizeKernels* kernels_;
};

}  // namespace scant
