#pragma once

#include <stdexcept>
#include <string>

namespace scant {

/// The one exception of the library: thrown while parsing, loading and validating, caught once in
/// `main`. `where` names the file, tensor or option; `problem` says what is wrong and what was
/// expected, as one clause without a line break. what() is "where: problem".
class Error : public std::runtime_error {
 public:
  Error(const std::string& where, const std::string& problem)
      : std::runtime_error(where.empty() ? problem : where + ": " + problem) {}
};

}  // namespace scant
