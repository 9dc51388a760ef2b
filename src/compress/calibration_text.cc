#include "compress/calibration_text.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"

namespace scant {
namespace {

std::string fields_of(const nlohmann::json& object) {
  std::string names;
  for (const auto& [name, value] : object.items()) {
    names += (names.empty() ? "" : ", ") + ("\"" + name + "\"");
  }
  return names.empty() ? "none" : names;
}

/// The text of one line. Throws Error naming `where`.
std::string text_of_line(std::string_view line, const std::string& field,
                         const std::string& where) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) throw Error(where, "expected a JSON object");
  const auto found = object.find(field);
  if (found == object.end()) {
    throw Error(where, "has no field \"" + field +
                           "\" (--calibration-field); its fields: " + fields_of(object));
  }
  if (!found->is_string()) {
    throw Error(where, "field \"" + field + "\" is " + found->type_name() + "; expected a string");
  }
  return found->get<std::string>();
}

}  // namespace

bool is_jsonl(std::string_view path) { return path.ends_with(".jsonl"); }

std::string read_calibration_text(const std::string& path, const std::string& field) {
  const std::string content = read_file(path);
  if (!is_jsonl(path)) return content;
  std::string text;
  int64_t number = 0;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view line(content.data() + begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (!text.empty()) text += "\n\n";
    text += text_of_line(line, field, path + ", line " + std::to_string(number));
  }
  return text;
}

}  // namespace scant
