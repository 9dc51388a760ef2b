#include <algorithm>
#include <array>

#include "methods/prune/pruner.h"

namespace scant {

std::span<const Pruner> all_pruners() {
  static const std::array kPruners = {magnitude_pruner(), wanda_pruner(), ria_pruner(),
                                      sparsegpt_pruner(), alps_pruner()};
  return kPruners;
}

std::vector<float> importance_of_inputs(const Statistics& statistics) {
  return statistics.inputs->squared_norms();
}

const Pruner* find_pruner(std::string_view name) {
  const auto all = all_pruners();
  const auto found = std::ranges::find(all, name, &Pruner::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace scant
