#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "formats/number_format.h"
#include "formats/scale.h"

namespace scant {

/// Where the scales of a linear layer's inputs come from.
struct ActivationMethod {
  enum class Kind : uint8_t {
    kDynamic,  ///< from the values, when they are there
    kStatic,  ///< measured once on calibration text, one for all tokens (of NVFP4 the second level)
    kCrossQuant,  ///< from the token and from columns measured on calibration text
  };
  static constexpr float kDefaultAlpha = 0.15f;
  Kind kind = Kind::kDynamic;
  float alpha = kDefaultAlpha;  ///< of CrossQuant: the token's share

  friend bool operator==(const ActivationMethod&, const ActivationMethod&) = default;
  /// "dynamic", "static", "crossquant" or "crossquant:ALPHA" with 0 <= ALPHA <= 1. Throws Error
  /// listing these.
  static ActivationMethod parse(std::string_view text);
  std::string spelling() const;
  bool needs_calibration() const { return kind != Kind::kDynamic; }
  /// Why inputs cannot have this format by this method; nothing if they can.
  std::optional<std::string> refusal(const NumberFormat& format) const;
};

/// CrossQuant (Liu et al., arXiv 2410.07505, eq. 5): the scale of element (i, j) is that of the
/// format for the largest magnitude t_i^alpha * c_j^(1 - alpha), t_i = max_j |x_ij| of the token,
/// c_j of the column. Here c_j is measured on calibration text, so that a token can be computed
/// alone; a value beyond its scale saturates. A column that was zero throughout takes the largest
/// c_j.
class CrossScales {
 public:
  /// `column_maxima`: finite, >= 0.
  CrossScales(float alpha, std::vector<float> column_maxima);
  float alpha() const { return alpha_; }
  const std::vector<float>& column_maxima() const { return maxima_; }
  /// x -> code * scale; `format` is scaled by token. `out` may be x. Single-threaded.
  void quantize(ConstMatrixView x, MatrixView out, const NumberFormat& format) const;

 private:
  float alpha_;
  std::vector<float> maxima_;
  std::vector<float> factors_;  ///< c_j^(1 - alpha)
};

/// How the inputs of a linear layer become numbers of a format.
struct InputQuantization {
  NumberFormat format;
  std::optional<BlockScale> scale;           ///< static: of all values; of NVFP4 the tensor scale
  std::shared_ptr<const CrossScales> cross;  ///< CrossQuant

  InputQuantization(NumberFormat format_in) : format(std::move(format_in)) {}  // NOLINT: dynamic
  ActivationMethod method() const;
  /// `out` may be x. Single-threaded. Throws Error if a value is NaN or infinite.
  void apply(ConstMatrixView x, MatrixView out) const;
  /// Whether every input becomes the same numbers.
  bool same_as(const InputQuantization& other) const;
};

/// By module name.
using InputQuantizations = std::map<std::string, InputQuantization, std::less<>>;

}  // namespace scant
