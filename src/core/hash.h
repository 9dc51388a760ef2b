#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace scant {

/// A 128-bit fingerprint of what was added, in order (XXH3). Not for secrets: against accidents,
/// not against forgery.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  Hasher& add(std::span<const std::byte> bytes);
  /// Adds the length too, so that "ab", "c" differs from "a", "bc".
  Hasher& add(std::string_view text);
  /// 32 hexadecimal digits.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Hasher().add(text).hex()
std::string fingerprint(std::string_view text);

}  // namespace scant
