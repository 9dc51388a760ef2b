#include "models/tokenizer/json_part.h"

#include <limits>

#include "core/error.h"

namespace scant {

void JsonPart::fail(const std::string& problem) const {
  throw Error(source_, (path_.empty() ? "the document" : path_) + " " + problem);
}

std::optional<JsonPart> JsonPart::get(const std::string& key) const {
  if (!value_.is_object()) fail("is not an object");
  const auto found = value_.find(key);
  if (found == value_.end() || found->is_null()) return {};
  return JsonPart(*found, path_.empty() ? key : path_ + "." + key, source_);
}

JsonPart JsonPart::at(const std::string& key) const {
  auto part = get(key);
  if (!part) fail("has no '" + key + "'");
  return *part;
}

size_t JsonPart::array_size() const {
  if (!value_.is_array()) fail("is not an array");
  return value_.size();
}

JsonPart JsonPart::element(size_t index) const {
  return {value_[index], path_ + "[" + std::to_string(index) + "]", source_};
}

std::string JsonPart::text() const {
  if (!value_.is_string()) fail("is not a string");
  return value_.get<std::string>();
}

bool JsonPart::flag(const std::string& key) const {
  const JsonPart part = at(key);
  if (!part.value_.is_boolean()) part.fail("is neither true nor false");
  return part.value_.get<bool>();
}

bool JsonPart::flag(const std::string& key, bool missing) const {
  return get(key) ? flag(key) : missing;
}

int64_t JsonPart::integer() const {
  if (!value_.is_number_integer()) fail("is not an integer");
  if (value_.is_number_unsigned() &&
      value_.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    fail("is too large");
  }
  return value_.get<int64_t>();
}

int32_t JsonPart::small_integer() const {
  const int64_t number = integer();
  if (number < 0 || number > std::numeric_limits<int32_t>::max()) {
    fail("is " + std::to_string(number) + ", not between 0 and 2^31 - 1");
  }
  return static_cast<int32_t>(number);
}

}  // namespace scant
