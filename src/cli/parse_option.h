#pragma once

#include <string>

#include "core/error.h"

namespace scant {

/// parse(text), with the option's name before what it says is wrong.
template <typename Parse>
auto parse_option(const char* option, const std::string& text, Parse parse) {
  try {
    return parse(text);
  } catch (const Error& error) {
    throw Error(option, error.what());
  }
}

}  // namespace scant
