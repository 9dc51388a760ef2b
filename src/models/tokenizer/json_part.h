#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace scant {

/// A value of a JSON document together with the way to it, for messages.
class JsonPart {
 public:
  JsonPart(const nlohmann::json& value, std::string path, const std::string& source)
      : value_(value), path_(std::move(path)), source_(source) {}

  [[noreturn]] void fail(const std::string& problem) const;
  const nlohmann::json& value() const { return value_; }
  const std::string& source() const { return source_; }
  bool is_null() const { return value_.is_null(); }

  /// Member of an object; fails if it is missing or this is no object.
  JsonPart at(const std::string& key) const;
  /// The same, but nothing if it is missing or null.
  std::optional<JsonPart> get(const std::string& key) const;
  /// Element of an array.
  JsonPart element(size_t index) const;
  size_t array_size() const;

  std::string text() const;
  std::string text(const std::string& key) const { return at(key).text(); }
  bool flag(const std::string& key) const;
  bool flag(const std::string& key, bool missing) const;
  int64_t integer() const;
  /// An id or a count: 0 ... 2^31 - 1.
  int32_t small_integer() const;

 private:
  const nlohmann::json& value_;
  std::string path_;
  const std::string& source_;
};

}  // namespace scant
