#include "models/input_quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "formats/best_scale.h"
#include "formats/quantized.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

constexpr std::string_view kCrossQuant = "crossquant";

float parse_alpha(std::string_view text, std::string_view whole) {
  float alpha = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), alpha);
  if (error != std::errc() || end != text.data() + text.size() || !(alpha >= 0 && alpha <= 1)) {
    throw Error("", fmt::format("\"{}\": expected crossquant:ALPHA with ALPHA from 0 to 1", whole));
  }
  return alpha;
}

float absmax(std::span<const float> values) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

/// Scales that are there already, in the shape that quantize_rows() asks for.
QuantizedMatrix given_scales(const NumberFormat& format, ConstMatrixView x) {
  QuantizedMatrix given;
  given.format = format;
  given.rows = x.rows;
  given.cols = x.cols;
  return given;
}

}  // namespace

ActivationMethod ActivationMethod::parse(std::string_view text) {
  if (text == "dynamic") return {};
  if (text == "static") return {Kind::kStatic};
  if (text == kCrossQuant) return {Kind::kCrossQuant};
  if (text.starts_with(kCrossQuant) && text.substr(kCrossQuant.size()).starts_with(':')) {
    return {Kind::kCrossQuant, parse_alpha(text.substr(kCrossQuant.size() + 1), text)};
  }
  throw Error("", fmt::format("unknown method \"{}\"; expected dynamic, static or "
                              "crossquant[:ALPHA]",
                              text));
}

std::string ActivationMethod::spelling() const {
  switch (kind) {
    case Kind::kDynamic:
      return "dynamic";
    case Kind::kStatic:
      return "static";
    case Kind::kCrossQuant:
      break;
  }
  return std::string(kCrossQuant) + (alpha == kDefaultAlpha ? "" : fmt::format(":{}", alpha));
}

std::optional<std::string> ActivationMethod::refusal(const NumberFormat& format) const {
  if (kind == Kind::kStatic && format.granularity.kind != Granularity::Kind::kTensor &&
      !format.rules().two_level) {
    return fmt::format(
        "activations {} have no static scale; expected one scale for all tokens, "
        "such as int8:tensor or nvfp4",
        format.spelling());
  }
  if (kind == Kind::kCrossQuant &&
      (format.granularity.kind != Granularity::Kind::kRow || !format.max_scaled())) {
    return fmt::format(
        "crossquant cannot scale activations {}; expected a format whose scale is "
        "the largest magnitude of a token, such as int8",
        format.spelling());
  }
  return std::nullopt;
}

CrossScales::CrossScales(float alpha, std::vector<float> column_maxima)
    : alpha_(alpha), maxima_(std::move(column_maxima)), factors_(maxima_.size()) {
  const float largest = absmax(maxima_);
  for (size_t j = 0; j < maxima_.size(); ++j) {
    const float maximum = maxima_[j] > 0 ? maxima_[j] : largest;
    const auto factor = static_cast<float>(std::pow(static_cast<double>(maximum), 1.0 - alpha));
    factors_[j] = factor > 0 ? factor : 1.0f;
  }
}

void CrossScales::quantize(ConstMatrixView x, MatrixView out, const NumberFormat& format) const {
  if (x.cols != static_cast<int64_t>(factors_.size())) {
    throw Error("crossquant",
                fmt::format("inputs of {} values for {} column maxima", x.cols, factors_.size()));
  }
  QuantizedMatrix given = given_scales(format, x);
  given.scales.resize(static_cast<size_t>(x.rows));
  for (int64_t r = 0; r < x.rows; ++r) {
    const float token = absmax(x.row_span(r));
    const auto reach = static_cast<float>(std::pow(static_cast<double>(token), alpha_));
    given.scales[static_cast<size_t>(r)] =
        choose_scale(format, {.min = -reach, .max = reach}).scale;
    for (int64_t c = 0; c < x.cols; ++c) out(r, c) = x(r, c) / factors_[static_cast<size_t>(c)];
  }
  quantize_rows(out, out, format, {.scales_from = &given});
  for (int64_t r = 0; r < x.rows; ++r) {
    for (int64_t c = 0; c < x.cols; ++c) out(r, c) *= factors_[static_cast<size_t>(c)];
  }
}

ActivationMethod InputQuantization::method() const {
  if (cross) return {ActivationMethod::Kind::kCrossQuant, cross->alpha()};
  return {scale ? ActivationMethod::Kind::kStatic : ActivationMethod::Kind::kDynamic};
}

void InputQuantization::apply(ConstMatrixView x, MatrixView out) const {
  if (cross) return cross->quantize(x, out, format);
  if (!scale) return quantize_rows(x, out, format);
  if (format.rules().two_level) {
    return quantize_rows(x, out, format, {.tensor_scale = scale->scale});
  }
  QuantizedMatrix given = given_scales(format, x);
  given.scales = {scale->scale};
  if (format.rules().zero_point) given.zero_points = {scale->zero_point};
  quantize_rows(x, out, format, {.scales_from = &given});
}

bool InputQuantization::same_as(const InputQuantization& other) const {
  if (format != other.format || method() != other.method()) return false;
  if (scale && (scale->scale != other.scale->scale || scale->zero_point != other.scale->zero_point))
    return false;
  return !cross || cross == other.cross || cross->column_maxima() == other.cross->column_maxima();
}

}  // namespace scant
