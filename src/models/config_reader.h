#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scant {

/// Typed access to a model's configuration. A null value counts as absent unless is_null() asks.
/// Every function throws Error naming file and key if the value is of another type or out of range.
class ConfigReader {
 public:
  /// `where` names the file in messages; `config` must outlive the reader.
  ConfigReader(const nlohmann::json& config, std::string where);

  /// A whole number in [1, 2^31), required.
  int64_t count(std::string_view key) const;
  std::optional<int64_t> find_count(std::string_view key) const;
  int64_t count_or(std::string_view key, int64_t fallback) const;
  /// A finite number.
  double number(std::string_view key) const;
  double number_or(std::string_view key, double fallback) const;
  bool flag_or(std::string_view key, bool fallback) const;
  std::optional<std::string> find_text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string_view fallback) const;
  std::vector<std::string> texts(std::string_view key) const;  ///< empty if absent
  std::optional<ConfigReader> find_object(std::string_view key) const;
  bool has(std::string_view key) const;      ///< there and not null
  bool is_null(std::string_view key) const;  ///< there and null
  bool holds_objects() const;                ///< some value is an object

  /// Throws: `key` says something that is not supported.
  [[noreturn]] void refuse(std::string_view key, const std::string& problem) const;
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json* find(std::string_view key) const;
  [[noreturn]] void expected(std::string_view key, std::string_view what) const;

  const nlohmann::json* config_;
  std::string where_;
  std::string path_;  ///< keys that lead here: "rope_scaling."
};

}  // namespace scant
