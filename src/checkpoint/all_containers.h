#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"

namespace scant {

/// A kind of model on disk.
struct Container {
  std::string_view name;
  std::string_view expectation;              ///< what `accepts` looks for, for messages
  bool (*accepts)(const std::string& path);  ///< by the look of an existing path, without parsing
  std::unique_ptr<Checkpoint> (*open)(const std::string& path);
};

/// Every container; the first that accepts a path opens it.
std::span<const Container> all_containers();

}  // namespace scant
