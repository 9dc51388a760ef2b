#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "compress/recipe.h"
#include "models/model.h"

namespace scant {

/// What `scant compress` says about the two tables of a language model, which stay as they are
/// otherwise.
struct TableOptions {
  std::string head, embeddings;

  void add_to(CLI::App& app);
  bool any() const { return !head.empty() || !embeddings.empty(); }
  /// Adds steps for the tables and keeps the others away from them. Where the head is the
  /// embeddings, either option means both. Throws Error naming the option.
  void apply(Recipe& recipe, const Model& model) const;
};

}  // namespace scant
