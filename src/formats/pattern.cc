#include "formats/pattern.h"

#include "core/error.h"

namespace scant {

SparsityPattern SparsityPattern::parse(std::string_view spelling) {
  const PatternSpelling parts = PatternSpelling::split(spelling);
  std::optional<SparsityPattern> found;
  std::string allowed;
  AllPatterns::for_each([&]<typename Family>() {
    if (!found) {
      if (const auto member = Family::parse(parts)) found = SparsityPattern{*member};
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(Family::kSpellings);
  });
  if (found) return *found;
  const bool is_head_known = parts.option && parts.is_percentage();
  if (is_head_known) Percent::parse(parts);  // a wrong percentage is the first thing to say
  parts.refuse(is_head_known ? *parts.option : parts.head, "is unknown; allowed are " + allowed);
}

std::string SparsityPattern::spelling() const {
  return std::visit([](const auto& family) { return family.spelling(); }, pattern);
}

std::string_view SparsityPattern::family() const {
  return std::visit([](const auto& family) { return std::string_view(family.kName); }, pattern);
}

Mask SparsityPattern::select(const Scores& scores, Context& context) const {
  return std::visit([&](const auto& family) { return family.select(scores, context); }, pattern);
}

std::optional<Mask> SparsityPattern::select_columns(const Scores& scores, int64_t begin,
                                                    int64_t total, Context& context) const {
  return std::visit(
      [&](const auto& family) { return family.select_columns(scores, begin, total, context); },
      pattern);
}

bool SparsityPattern::allows(const Mask& mask) const {
  return std::visit([&](const auto& family) { return family.allows(mask); }, pattern);
}

int64_t SparsityPattern::most_kept(int64_t rows, int64_t cols) const {
  return std::visit([&](const auto& family) { return family.most_kept(rows, cols); }, pattern);
}

std::optional<GroupShape> SparsityPattern::ranking_group(int64_t rows, int64_t cols) const {
  return std::visit([&](const auto& family) { return family.ranking_group(rows, cols); }, pattern);
}

std::vector<SparsityPattern> SparsityPattern::examples() {
  std::vector<SparsityPattern> all;
  AllPatterns::for_each([&]<typename Family>() {
    for (const Family& member : Family::examples()) all.push_back({member});
  });
  return all;
}

}  // namespace scant
