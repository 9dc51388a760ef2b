#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "models/tokenizer/spec.h"

namespace scant {

/// Rewrites a regular expression from Oniguruma's Ruby syntax, which tokenizer.json is written in,
/// to PCRE2's with UTF and UCP: `\s`, `\w`, `\b`, `\h` and others mean different characters there.
/// Throws Error naming `source` for what has no translation.
std::string pcre2_syntax(std::string_view ruby, const std::string& source);

/// A compiled PatternSpec; may be shared by threads.
class Pattern {
 public:
  /// Throws Error naming `source` if the expression is broken, too large or not supported.
  Pattern(const PatternSpec& spec, const std::string& source);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

 private:
  friend class PatternMatcher;
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

/// Called for the parts of a text in order, the matches and what lies between them.
using PartSink = std::function<void(size_t begin, size_t end, bool is_match)>;

/// The working memory of one thread's searches with one pattern.
class PatternMatcher {
 public:
  explicit PatternMatcher(const Pattern& pattern);
  ~PatternMatcher();
  PatternMatcher(const PatternMatcher&) = delete;
  PatternMatcher& operator=(const PatternMatcher&) = delete;

  /// Cuts `text` (valid UTF-8, not empty) into matches, which may be empty, and the gaps between
  /// them, which are not. Throws Error if the expression needs unreasonable time or memory.
  void cut(std::string_view text, const PartSink& sink);

 private:
  struct Scratch;
  void cut_literal(std::string_view text, const PartSink& sink) const;
  bool search(std::string_view text, size_t from);
  void check_time();

  const Pattern::Compiled& pattern_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace scant
