#include "formats/patterns/pattern_spelling.h"

#include <algorithm>

#include "core/error.h"
#include "formats/spelling.h"

namespace scant {
namespace {

constexpr int kDecimals = 6;
constexpr int64_t kPerPercent = 1'000'000;
constexpr int64_t kWhole = 100 * kPerPercent;

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

PatternSpelling PatternSpelling::split(std::string_view text) {
  PatternSpelling parts{text, text, std::nullopt};
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    parts.head = text.substr(0, colon);
    parts.option = text.substr(colon + 1);
  }
  return parts;
}

void PatternSpelling::refuse(std::string_view part, std::string_view expected) const {
  throw Error("sparsity " + quoted_part(text), quoted_part(part) + " " + std::string(expected));
}

Percent Percent::parse(const PatternSpelling& spelling) {
  const std::string_view number = spelling.head.substr(0, spelling.head.size() - 1);
  const size_t point = std::min(number.find('.'), number.size());
  const auto whole = parse_decimal(number.substr(0, point), 1'000'000);
  const std::string_view decimals = number.substr(std::min(point + 1, number.size()));
  if (!whole || (point < number.size() && (!is_digits(decimals) || decimals.size() > kDecimals))) {
    spelling.refuse(spelling.head,
                    "is not a percentage such as 50% or 62.5% (at most six decimals)");
  }
  int64_t fraction = 0;
  for (size_t i = 0; i < kDecimals; ++i) {
    fraction = fraction * 10 + (i < decimals.size() ? decimals[i] - '0' : 0);
  }
  const Percent result{*whole * kPerPercent + fraction};
  if (result.millionths <= 0 || result.millionths >= kWhole) {
    spelling.refuse(spelling.head, "must be more than 0% and less than 100%");
  }
  return result;
}

std::string Percent::text() const {
  std::string result = std::to_string(millionths / kPerPercent);
  std::string decimals = std::to_string(kPerPercent + millionths % kPerPercent).substr(1);
  while (!decimals.empty() && decimals.back() == '0') decimals.pop_back();
  if (!decimals.empty()) result += "." + decimals;
  return result + "%";
}

int64_t Percent::of(int64_t count) const {
  // Split so that no product exceeds 64 bits for any matrix that fits in memory.
  return count / kWhole * millionths + count % kWhole * millionths / kWhole;
}

}  // namespace scant
