#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/tokenizer/tokenizer.h"

namespace scant {

/// Tokens to text as they come: whole characters only. What decoding tokens together would give, a
/// token's text may depend on those before it (spaces, characters of several tokens).
class TextStream {
 public:
  /// `prompt`: the tokens before, whose text is not given back.
  TextStream(const Tokenizer& tokenizer, std::span<const int32_t> prompt);
  /// The text that is complete with this token; empty while a character is not.
  std::string add(int32_t token);
  /// What is left, incomplete characters as U+FFFD.
  std::string finish();

 private:
  std::string take();

  const Tokenizer& tokenizer_;
  std::vector<int32_t> tokens_;  ///< a few that are done, then those that wait
  size_t done_ = 0;
};

/// Finds the first of several strings in a text that comes in pieces.
class StopFinder {
 public:
  /// None of `stops` is empty.
  explicit StopFinder(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  /// The text that is certainly before any stop string: what may be the beginning of one waits.
  std::string add(const std::string& text);
  /// True once a stop string came; nothing is given back from then on.
  bool found() const { return found_; }
  /// What waited, if no stop string came.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  std::string waiting_;
  bool found_ = false;
};

}  // namespace scant
