// Recipes: anything either parses, and then survives writing and planning, or is an Error.
#include "compress/recipe.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  scant::Recipe recipe;
  try {
    recipe = scant::Recipe::parse_yaml({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const scant::Error&) {
    return 0;
  }
  // What was written is no longer foreign: an Error here is a fault too.
  const std::string text = recipe.to_yaml();
  if (scant::Recipe::parse_yaml(text, "again").to_yaml() != text) __builtin_trap();
  try {
    scant::plan_layer(recipe, "model.layers.0.self_attn.q_proj");
  } catch (const scant::Error&) {
  }
  return 0;
}
