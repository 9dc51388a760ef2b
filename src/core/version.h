#pragma once

#include <string_view>

namespace scant {

/// The project's version; a test compares it with CMakeLists.txt.
inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace scant
