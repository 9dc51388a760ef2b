#pragma once

#include <span>
#include <string_view>

#include "models/model_builder.h"

namespace scant {

/// A model architecture: reads its configuration, names and checks its tensors, composes stages.
struct Family {
  std::string_view architecture;  ///< in config.json's "architectures"
  std::string_view model_type;    ///< for configurations without it
  void (*build)(ModelBuilder& builder);
};

std::span<const Family> all_families();

}  // namespace scant
