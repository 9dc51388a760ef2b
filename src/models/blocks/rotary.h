#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace scant {

class ConfigReader;

/// What a configuration says of rotary positions.
struct RotaryOptions {
  double theta = 10000;
  std::string type = "default";  ///< default, linear, llama3 or gguf_factors
  double factor = 1;             ///< of linear
};

/// Rotary position embedding of a model: one frequency per pair of a head's elements.
class Rotary {
 public:
  /// Frequencies theta^(-2i / head_dim), scaled as the configuration says: `rope_scaling` (with
  /// "rope_type" or the older "type") or `rope_parameters`; types default, linear, llama3 and
  /// gguf_factors (divided by `divisors`, head_dim / 2). Throws Error for others.
  static std::vector<float> frequencies(const ConfigReader& config, int64_t head_dim,
                                        std::span<const float> divisors = {});

  /// Throws Error naming the key, but not for a type that is not known.
  static RotaryOptions options(const ConfigReader& config);

  explicit Rotary(std::vector<float> frequencies);
  /// Radians per position of each pair of elements, head_dim / 2.
  const std::vector<float>& radians() const { return frequencies_; }

  /// Rotates heads of row t, tokens x heads * head_dim, to position first_position + t, in place.
  /// Thread-safe.
  void apply(MatrixView x, int64_t first_position) const;
  /// Rotates back: the inverse of apply(), and what takes gradients through it.
  void undo(MatrixView x, int64_t first_position) const;

 private:
  struct Table {
    Matrix cosine;  ///< positions x head_dim / 2
    Matrix sine;
    Matrix minus_sine;
  };
  std::shared_ptr<const Table> table(int64_t positions) const;
  void turn(MatrixView x, int64_t first_position, const Matrix& cosine, const Matrix& sine) const;

  std::vector<float> frequencies_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Table> table_;  ///< grows with the longest sample seen
};

}  // namespace scant
