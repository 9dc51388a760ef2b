#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "formats/number_format.h"

namespace scant {
namespace {

template <typename T>
bool has_role(const T& element, Role role) {
  return role == Role::kWeight || !element.rules().weights_only;
}

}  // namespace

std::vector<std::string> number_format_examples(Role role) {
  std::vector<std::string> all;
  AllElements::for_each([&]<typename T>(std::type_identity<T>) {
    if (!has_role(T{}, role)) return;
    const std::vector<std::string> elements = T::examples();
    all.insert(all.end(), elements.begin(), elements.end());
  });
  // Every part once with every element it applies to; what does not apply is refused by parse().
  const std::vector<std::string> bare = all;
  for (const std::string& element : bare) {
    for (const char* parts : {":tensor", ":channel", ":token", ":g32", ":g128", ":block=16", ":mse",
                              ":stoch", ":g16:mse", ":g32:stoch:scale=fp16", ":scale=bf16",
                              ":scale=e8m0", ":g32:mse:scale=e8m0", ":g16:scale=e4m3"}) {
      try {
        const std::string spelling = NumberFormat::parse(element + parts, role).spelling();
        if (std::find(all.begin(), all.end(), spelling) == all.end()) all.push_back(spelling);
      } catch (const Error&) {
      }
    }
  }
  return all;
}

std::vector<ElementHelp> number_format_help(Role role) {
  std::vector<ElementHelp> lines;
  AllElements::for_each([&]<typename T>(std::type_identity<T>) {
    if (!has_role(T{}, role)) return;
    lines.push_back({std::string(T::kFamily), std::string(T::kSyntax), std::string(T::kMeaning),
                     fmt::format("{}", fmt::join(allowed_parts(Element(T{}), role), ", "))});
  });
  return lines;
}

}  // namespace scant
