#pragma once

#include <string>

namespace scant {

/// The names of a list such as all_pruners(), for help and errors: "magnitude, wanda".
template <typename Methods>
std::string names_of(const Methods& methods) {
  std::string names;
  for (const auto& method : methods) {
    names += (names.empty() ? "" : ", ") + std::string(method.name);
  }
  return names;
}

}  // namespace scant
