#include "checkpoint/json_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace scant {

nlohmann::json parse_json_object(std::string_view text, const std::string& where) {
  using nlohmann::json;
  constexpr int kDeepest = 64;  // a bracket costs one byte of input and far more of memory
  // The parser would skip a byte order mark and stop at a zero byte.
  if (text.empty() || text.substr(0, 1) == "\xef" || text.find('\0') != std::string_view::npos) {
    throw Error(where, text.empty() ? "is empty; expected a JSON object"
                                    : "is not plain JSON text; expected a JSON object");
  }
  const auto check_depth = [&](int depth, json::parse_event_t, json&) {
    if (depth > kDeepest) throw Error(where, fmt::format("nests deeper than {} levels", kDeepest));
    return true;
  };
  json value;
  try {
    value = json::parse(text.begin(), text.end(), check_depth);
  } catch (const json::parse_error& error) {
    throw Error(where, fmt::format("is not valid JSON at byte {}", error.byte));
  } catch (const json::exception&) {
    throw Error(where, "is not valid JSON: a number is out of range");
  }
  if (!value.is_object()) {
    throw Error(where, fmt::format("holds a JSON {}; expected an object", value.type_name()));
  }
  return value;
}

}  // namespace scant
