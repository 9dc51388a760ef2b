#include "report/study_page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/page_template.h"

namespace scant {
namespace {

using nlohmann::json;

constexpr int64_t kNewestVersion = 1;

void require(const json& object, const std::string& path, const char* key, json::value_t type,
             const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || found->type() != type) {
    throw Error(
        where, fmt::format("\"{}{}\" is missing or not {}, as an interplay study has it", path, key,
                           type == json::value_t::array    ? "an array"
                           : type == json::value_t::object ? "an object"
                                                           : "a string"));
  }
}

void require_table(const json& study, const char* key, const std::string& where) {
  require(study, "", key, json::value_t::object, where);
  const std::string path = std::string(key) + ".";
  require(study[key], path, "columns", json::value_t::array, where);
  require(study[key], path, "rows", json::value_t::array, where);
}

/// Name of the model.
std::string checked_model(std::string_view text, const std::string& where) {
  const json study = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!study.is_object()) throw Error(where, "not valid JSON with an object at the top");
  const auto schema = study.find("schema");
  if (schema == study.end() || *schema != "scant-interplay") {
    throw Error(where, "not an interplay study: expected \"schema\": \"scant-interplay\"");
  }
  const auto version = study.find("version");
  if (version == study.end() || !version->is_number_integer() || version->get<int64_t>() < 1) {
    throw Error(where, "\"version\" is missing or not a positive integer");
  }
  if (version->get<int64_t>() > kNewestVersion) {
    throw Error(where, fmt::format("version {} is newer than this program, which reads {}",
                                   version->get<int64_t>(), kNewestVersion));
  }
  for (const char* key : {"model", "protocol", "times"}) {
    require(study, "", key, json::value_t::object, where);
  }
  for (const char* key : {"stages", "cells", "combinations", "orders", "pictures", "advice"}) {
    require(study, "", key, json::value_t::array, where);
  }
  for (const char* key : {"layers", "tensors", "layer_errors"}) require_table(study, key, where);
  require(study["model"], "model.", "name", json::value_t::string, where);
  if (study["cells"].empty())
    throw Error(where, "\"cells\" is empty: expected the dense model first");
  return study["model"]["name"];
}

/// For element contents and quoted attributes.
std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// JSON that cannot end or confuse the script element it stands in ("</script", "<!--"); outside
/// of its strings JSON has no "<".
std::string script_escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '<') {
      out += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '/') {
      out += "<\\/";
      ++i;
    } else {
      out += "\\u003c";
    }
  }
  return out;
}

std::string filled(std::string_view title, std::string_view study, std::string_view other) {
  const std::pair<std::string_view, std::string> places[] = {{"{{title}}", html_escaped(title)},
                                                             {"{{study}}", script_escaped(study)},
                                                             {"{{other}}", script_escaped(other)}};
  std::string page;
  std::string_view rest = kPageTemplate;
  for (const auto& [mark, content] : places) {  // in the order in which the template has them
    const size_t at = rest.find(mark);
    page += rest.substr(0, at);
    page += content;
    rest.remove_prefix(at + mark.size());
  }
  page += rest;
  return page;
}

}  // namespace

std::string study_page(std::string_view study_json, const std::string& where) {
  const std::string model = checked_model(study_json, where);
  return filled(model + ": sparsity and quantization", study_json, "");
}

std::string comparison_page(std::string_view a_json, std::string_view b_json,
                            const std::string& a_where, const std::string& b_where) {
  const std::string a = checked_model(a_json, a_where);
  const std::string b = checked_model(b_json, b_where);
  return filled(a + " against " + b, a_json, b_json);
}

}  // namespace scant
