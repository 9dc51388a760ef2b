#include "models/config_reader.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace scant {

ConfigReader::ConfigReader(const nlohmann::json& config, std::string where)
    : config_(&config), where_(std::move(where)) {}

const nlohmann::json* ConfigReader::find(std::string_view key) const {
  const auto found = config_->find(std::string(key));
  return found == config_->end() || found->is_null() ? nullptr : &*found;
}

void ConfigReader::refuse(std::string_view key, const std::string& problem) const {
  throw Error(where_, fmt::format("{}{} {}", path_, key, problem));
}

void ConfigReader::expected(std::string_view key, std::string_view what) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) refuse(key, fmt::format("is missing; expected {}", what));
  std::string text = value->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  constexpr size_t kShown = 40;
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  refuse(key, fmt::format("is {}; expected {}", text, what));
}

std::optional<int64_t> ConfigReader::find_count(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::nullopt;
  constexpr int64_t kLimit = int64_t{1} << 31;
  if (!value->is_number_integer() || value->get<int64_t>() < 1 || value->get<int64_t>() >= kLimit ||
      (value->is_number_unsigned() && value->get<uint64_t>() >= uint64_t{kLimit})) {
    expected(key, "a whole number from 1 to 2147483647");
  }
  return value->get<int64_t>();
}

int64_t ConfigReader::count(std::string_view key) const {
  const auto value = find_count(key);
  if (!value) expected(key, "a whole number");
  return *value;
}

int64_t ConfigReader::count_or(std::string_view key, int64_t fallback) const {
  return find_count(key).value_or(fallback);
}

double ConfigReader::number(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>())) {
    expected(key, "a number");
  }
  return value->get<double>();
}

double ConfigReader::number_or(std::string_view key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool ConfigReader::flag_or(std::string_view key, bool fallback) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) expected(key, "true or false");
  return value->get<bool>();
}

std::optional<std::string> ConfigReader::find_text(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) expected(key, "a text");
  return value->get<std::string>();
}

std::string ConfigReader::text_or(std::string_view key, std::string_view fallback) const {
  return find_text(key).value_or(std::string(fallback));
}

std::vector<std::string> ConfigReader::texts(std::string_view key) const {
  const nlohmann::json* value = find(key);
  std::vector<std::string> result;
  if (value == nullptr) return result;
  if (!value->is_array()) expected(key, "a list of texts");
  for (const nlohmann::json& item : *value) {
    if (!item.is_string()) expected(key, "a list of texts");
    result.push_back(item.get<std::string>());
  }
  return result;
}

std::optional<ConfigReader> ConfigReader::find_object(std::string_view key) const {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) expected(key, "an object");
  ConfigReader reader(*value, where_);
  reader.path_ = fmt::format("{}{}.", path_, key);
  return reader;
}

bool ConfigReader::has(std::string_view key) const { return find(key) != nullptr; }

bool ConfigReader::is_null(std::string_view key) const {
  const auto found = config_->find(std::string(key));
  return found != config_->end() && found->is_null();
}

bool ConfigReader::holds_objects() const {
  for (const nlohmann::json& value : *config_) {
    if (value.is_object()) return true;
  }
  return false;
}

}  // namespace scant
