#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace scant {

/// Parses an untrusted JSON text whose top level is an object. Throws Error naming `where` if it is
/// not valid JSON (RFC 8259: UTF-8, no comments, no byte order mark) or nests more than 64 deep.
/// Of a key that is there twice the last value counts.
nlohmann::json parse_json_object(std::string_view text, const std::string& where);

}  // namespace scant
