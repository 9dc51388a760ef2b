#include "cli/table_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/parse_option.h"
#include "core/error.h"
#include "models/structure.h"

namespace scant {
namespace {

/// Matches the module of `tensor` and nothing else.
std::string exactly(std::string tensor) {
  constexpr std::string_view kSuffix = ".weight";
  if (tensor.ends_with(kSuffix)) tensor.resize(tensor.size() - kSuffix.size());
  std::string text = "^";
  for (const char c : tensor) {
    if (c == '.') text += '\\';
    text += c;
  }
  return text + "$";
}

void add_table(Recipe& recipe, const std::string& tensor, const std::string& spelling,
               const char* option) {
  const auto format = parse_option(option, spelling, [](const std::string& text) {
    return NumberFormat::parse(text, Role::kWeight);
  });
  const NamePattern table(exactly(tensor), option);
  for (RecipeStep& step : recipe.steps) {
    if (step.kind != StepKind::kActivations)
      step.overrides.push_back({.match = table, .none = true});
  }
  recipe.include.push_back(table);
  recipe.steps.push_back(
      {StepKind::kQuantize,
       std::nullopt,
       format,
       "rtn",
       {{.match = NamePattern(".", option), .none = true}, {.match = table, .format = format}}});
}

}  // namespace

void TableOptions::add_to(CLI::App& app) {
  app.add_option("--head", head,
                 "Number format of the output head, such as int8 (default: as it is stored)");
  app.add_option("--embeddings", embeddings,
                 "Number format of the token embeddings (where the head is tied to them either "
                 "option means both)");
}

void TableOptions::apply(Recipe& recipe, const Model& model) const {
  if (!any()) return;
  const ModelStructure structure = model.structure();
  const std::string& table = structure.embeddings.front();
  // A rotation gives a tied head a tensor of its own.
  const bool rotated = std::ranges::any_of(recipe.transforms, [](const TransformStep& step) {
    return step.kind == TransformStep::Kind::kRotate;
  });
  const std::string& of_head = rotated ? structure.untied_head : structure.head;
  if (of_head != table) {
    if (!head.empty()) add_table(recipe, of_head, head, "--head");
    if (!embeddings.empty()) add_table(recipe, table, embeddings, "--embeddings");
    return;
  }
  if (!head.empty() && !embeddings.empty() && head != embeddings) {
    throw Error("--head",
                fmt::format("is {}, --embeddings is {}, but this model has one tensor for "
                            "both; expected one format",
                            head, embeddings));
  }
  const bool by_head = !head.empty();
  add_table(recipe, table, by_head ? head : embeddings, by_head ? "--head" : "--embeddings");
}

}  // namespace scant
