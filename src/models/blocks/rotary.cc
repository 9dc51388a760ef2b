#include "models/blocks/rotary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <string>

#include "kernels/rope/rope.h"
#include "models/config_reader.h"

namespace scant {
namespace {

constexpr int64_t kTableStep = 256;

// Meta's scaling for Llama 3.1 (transformers: _compute_llama3_parameters): long wavelengths are
// stretched by `factor`, short ones are kept, in between it interpolates.
struct Llama3Scaling {
  double factor, low, high, original;

  double operator()(double frequency) const {
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    const double smooth = (original / wavelength - low) / (high - low);
    return (1 - smooth) * frequency / factor + smooth * frequency;
  }
};

double positive(const ConfigReader& config, std::string_view key) {
  const double value = config.number(key);
  if (value <= 0) config.refuse(key, "is not above 0");
  return value;
}

Llama3Scaling llama3_scaling(const ConfigReader& config, const ConfigReader& scaling) {
  Llama3Scaling result{};
  result.factor = positive(scaling, "factor");
  result.low = positive(scaling, "low_freq_factor");
  result.high = positive(scaling, "high_freq_factor");
  if (result.high <= result.low) {
    scaling.refuse("high_freq_factor", "is not above low_freq_factor");
  }
  // A key beside rope_parameters outranks the one inside, as in transformers.
  if (config.has("original_max_position_embeddings")) {
    result.original = positive(config, "original_max_position_embeddings");
  } else if (scaling.has("original_max_position_embeddings")) {
    result.original = positive(scaling, "original_max_position_embeddings");
  } else {
    result.original = positive(config, "max_position_embeddings");
  }
  return result;
}

// transformers 5 moved rope_scaling and rope_theta into one object.
std::optional<ConfigReader> scaling_of(const ConfigReader& config) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    auto object = config.find_object(key);
    if (!object) continue;
    if (object->holds_objects()) {
      config.refuse(key, "differs between layers, which is not supported; expected one for all");
    }
    return object;
  }
  return std::nullopt;
}

double theta_of(const ConfigReader& config, const std::optional<ConfigReader>& scaling) {
  constexpr double kDefault = 10000;
  const bool inside = scaling && scaling->has("rope_theta");
  const ConfigReader& reader = inside ? *scaling : config;
  const double theta = reader.number_or("rope_theta", kDefault);
  if (theta <= 0) reader.refuse("rope_theta", "is not above 0");
  return theta;
}

std::string type_of(const ConfigReader& scaling) {
  return scaling.text_or("rope_type", scaling.text_or("type", "default"));
}

}  // namespace

RotaryOptions Rotary::options(const ConfigReader& config) {
  const auto scaling = scaling_of(config);
  RotaryOptions result;
  result.theta = theta_of(config, scaling);
  if (scaling) result.type = type_of(*scaling);
  if (result.type == "linear") result.factor = positive(*scaling, "factor");
  return result;
}

std::vector<float> Rotary::frequencies(const ConfigReader& config, int64_t head_dim,
                                       std::span<const float> divisors) {
  const auto scaling = scaling_of(config);
  const ConfigReader& options = scaling ? *scaling : config;
  if (head_dim % 2 != 0) {
    config.refuse("head_dim", fmt::format("is {}; expected an even number", head_dim));
  }
  for (const ConfigReader* reader : {&config, &options}) {
    if (reader->number_or("partial_rotary_factor", 1.0) != 1.0) {
      reader->refuse("partial_rotary_factor", "is not supported; expected 1");
    }
  }
  const double theta = theta_of(config, scaling);
  std::vector<float> result(static_cast<size_t>(head_dim / 2));
  for (size_t i = 0; i < result.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
    result[i] = static_cast<float>(1.0 / std::pow(theta, exponent));
  }
  if (!scaling) return result;
  const std::string type = type_of(*scaling);
  if (type == "linear") {
    const double factor = positive(*scaling, "factor");
    for (float& frequency : result) frequency = static_cast<float>(frequency / factor);
  } else if (type == "llama3") {
    const Llama3Scaling scale = llama3_scaling(config, *scaling);
    for (float& frequency : result) frequency = static_cast<float>(scale(frequency));
  } else if (type == "gguf_factors" && divisors.size() == result.size()) {
    for (size_t i = 0; i < result.size(); ++i) {
      if (!(divisors[i] > 0))
        scaling->refuse("rope_type", "gguf_factors has a divisor not above 0");
      result[i] /= divisors[i];
    }
  } else if (type != "default") {
    scaling->refuse(scaling->has("rope_type") ? "rope_type" : "type",
                    fmt::format("{} is not supported; expected default, linear or llama3", type));
  }
  return result;
}

Rotary::Rotary(std::vector<float> frequencies) : frequencies_(std::move(frequencies)) {}

std::shared_ptr<const Rotary::Table> Rotary::table(int64_t positions) const {
  const std::lock_guard lock(mutex_);
  if (table_ && table_->cosine.rows() >= positions) return table_;
  positions =
      (positions + kTableStep - 1) / kTableStep * kTableStep;  // generation asks for one more
  const auto half = static_cast<int64_t>(frequencies_.size());
  auto grown = std::make_shared<Table>();
  grown->cosine = Matrix(positions, half);
  grown->sine = Matrix(positions, half);
  grown->minus_sine = Matrix(positions, half);
  for (int64_t t = 0; t < positions; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      // The angle is rounded to float32, as models were trained and are run elsewhere.
      const float angle = static_cast<float>(t) * frequencies_[static_cast<size_t>(i)];
      grown->cosine(t, i) = std::cos(angle);
      grown->sine(t, i) = std::sin(angle);
      grown->minus_sine(t, i) = -grown->sine(t, i);
    }
  }
  table_ = grown;
  return table_;
}

void Rotary::apply(MatrixView x, int64_t first_position) const {
  const auto positions = table(first_position + x.rows);
  turn(x, first_position, positions->cosine, positions->sine);
}

void Rotary::undo(MatrixView x, int64_t first_position) const {
  const auto positions = table(first_position + x.rows);
  turn(x, first_position, positions->cosine, positions->minus_sine);
}

void Rotary::turn(MatrixView x, int64_t first_position, const Matrix& cosine,
                  const Matrix& sine) const {
  rotate(x, 2 * static_cast<int64_t>(frequencies_.size()),
         cosine.view().rows_from(first_position, x.rows),
         sine.view().rows_from(first_position, x.rows));
}

}  // namespace scant
