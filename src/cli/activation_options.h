#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "compress/recipe.h"

namespace scant {

/// What `scant compress` says about the inputs of layers and about transforms of the dense model.
struct ActivationOptions {
  std::string format, method, rotate;
  std::optional<double> smooth;

  void add_to(CLI::App& app);
  /// Something was said.
  bool any() const;
  /// Adds the steps that it means. With calibration text, one scale for a whole tensor is a static
  /// one unless the method says otherwise. Throws Error naming the option.
  void apply(Recipe& recipe, bool calibrated) const;
};

}  // namespace scant
