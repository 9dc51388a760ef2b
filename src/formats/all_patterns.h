#pragma once

#include <concepts>
#include <string_view>
#include <variant>

#include "formats/patterns/block.h"
#include "formats/patterns/n_of_m.h"
#include "formats/patterns/structured.h"
#include "formats/patterns/unstructured.h"

namespace scant {

/// What a family of sparsity patterns must say; its numbers (percent, N, M, R, C) are members.
template <typename P>
concept PatternFamily = std::equality_comparable<P> &&
    requires(const P& pattern, const PatternSpelling& spelling, const Scores& scores,
             const Mask& mask, int64_t size, Context& context) {
  { P::kName } -> std::convertible_to<std::string_view>;
  /// Typical spellings, for help and errors.
  { P::kSpellings } -> std::convertible_to<std::string_view>;
  /// Members that tests, benchmarks and tables run through.
  { P::examples() } -> std::same_as<std::vector<P>>;
  /// Nothing if the spelling is of another family; throws Error if it is of this one but wrong.
  { P::parse(spelling) } -> std::same_as<std::optional<P>>;
  { pattern.spelling() } -> std::same_as<std::string>;
  { pattern.select(scores, context) } -> std::same_as<Mask>;
  /// As SparsityPattern::select_columns().
  { pattern.select_columns(scores, size, size, context) } -> std::same_as<std::optional<Mask>>;
  { pattern.allows(mask) } -> std::same_as<bool>;
  /// The largest number of weights that select() keeps of rows x cols.
  { pattern.most_kept(size, size) } -> std::same_as<int64_t>;
  /// The tiles whose weights are ranked against each other; nothing where units are ranked.
  { pattern.ranking_group(size, size) } -> std::same_as<std::optional<GroupShape>>;
};

template <PatternFamily... Families>
struct PatternList {
  using Variant = std::variant<Families...>;
  /// Calls visit.template operator()<Family>() for each, in order.
  template <typename Visit>
  static void for_each(Visit&& visit) {
    (visit.template operator()<Families>(), ...);
  }
};

/// Every family of sparsity patterns: one line each.
using AllPatterns = PatternList<UnstructuredPattern,  //
                                NOfMPattern,          //
                                BlockPattern,         //
                                StructuredPattern>;

using Pattern = AllPatterns::Variant;

}  // namespace scant
