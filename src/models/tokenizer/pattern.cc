#include "models/tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

using Clock = std::chrono::steady_clock;

template <auto function>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    function(object);
  }
};
using Code = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack_free>>;

// One search may backtrack this often, keep this much memory and try this many places before the
// clock is looked at again.
constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimitKib = 64 * 1024;
constexpr size_t kJitStackBytes = 4 * 1024 * 1024;
constexpr size_t kStartWindow = 64;
constexpr uint32_t kSearchesPerClockCheck = 64;
// Usual expressions need 0.05 microseconds for a byte.
constexpr double kSecondsAllowed = 10.0;
constexpr double kSecondsAllowedPerByte = 10e-6;

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

std::string shown(const std::string& pattern) {
  size_t length = std::min<size_t>(pattern.size(), 200);
  while (length > 0 && length < pattern.size() &&
         (static_cast<unsigned char>(pattern[length]) & 0xC0) == 0x80) {
    --length;
  }
  std::string text = pattern.substr(0, length) + (length < pattern.size() ? "..." : "");
  std::replace(text.begin(), text.end(), '\n', ' ');
  return "the pattern '" + text + "'";
}

}  // namespace

struct Pattern::Compiled {
  PatternSpec spec;
  std::string source;
  Code code;  ///< null for literal text
  bool jit = false;
};

Pattern::Pattern(const PatternSpec& spec, const std::string& source)
    : compiled_(std::make_unique<Compiled>()) {
  compiled_->spec = spec;
  compiled_->source = source;
  if (spec.text.empty()) throw Error(source, "a pattern is empty");
  if (!spec.is_regex) return;
  const std::string translated = pcre2_syntax(spec.text, source);
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (!context) throw Error(source, "no memory for a pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // In Ruby ^ and $ are always about lines.
  compiled_->code.reset(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | PCRE2_NEVER_BACKSLASH_C,
      &error, &offset, context.get()));
  if (!compiled_->code) {
    throw Error(source, shown(spec.text) + " cannot be used: " + pcre2_message(error));
  }
  // Where no machine code can be made, the interpreter does the same more slowly.
  compiled_->jit = pcre2_jit_compile(compiled_->code.get(), PCRE2_JIT_COMPLETE) == 0;
}
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

struct PatternMatcher::Scratch {
  MatchContext context;
  MatchData data;
  JitStack stack;
  size_t begin = 0;  // of the latest match
  size_t end = 0;
  uint32_t searches = 0;
  size_t bytes = 0;
  Clock::time_point started = Clock::now();
};

PatternMatcher::PatternMatcher(const Pattern& pattern)
    : pattern_(*pattern.compiled_), scratch_(std::make_unique<Scratch>()) {
  if (!pattern_.code) return;
  scratch_->context.reset(pcre2_match_context_create(nullptr));
  scratch_->data.reset(pcre2_match_data_create_from_pattern(pattern_.code.get(), nullptr));
  if (!scratch_->context || !scratch_->data) throw Error(pattern_.source, "no memory for a search");
  pcre2_set_match_limit(scratch_->context.get(), kMatchLimit);
  pcre2_set_heap_limit(scratch_->context.get(), kHeapLimitKib);
  if (pattern_.jit) {
    scratch_->stack.reset(pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr));
    pcre2_jit_stack_assign(scratch_->context.get(), nullptr, scratch_->stack.get());
  }
}
PatternMatcher::~PatternMatcher() = default;

void PatternMatcher::check_time() {
  const std::chrono::duration<double> spent = Clock::now() - scratch_->started;
  const double allowed =
      kSecondsAllowed + kSecondsAllowedPerByte * static_cast<double>(scratch_->bytes);
  if (spent.count() > allowed) {
    throw Error(pattern_.source, shown(pattern_.spec.text) + " takes too long on this text");
  }
}

bool PatternMatcher::search(std::string_view text, size_t from) {
  Scratch& scratch = *scratch_;
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  // A window of starting places per call, so that even a quadratic search comes up for air.
  while (from <= text.size()) {
    if (++scratch.searches % kSearchesPerClockCheck == 0) check_time();
    const size_t limit = std::min(text.size(), from + kStartWindow);
    pcre2_set_offset_limit(scratch.context.get(), limit);
    int result = pcre2_match(pattern_.code.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                             scratch.data.get(), scratch.context.get());
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      result =
          pcre2_match(pattern_.code.get(), subject, text.size(), from,
                      PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch.data.get(), scratch.context.get());
    }
    if (result >= 0) {
      const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.data.get());
      scratch.begin = ends[0];
      scratch.end = ends[1];
      return true;
    }
    if (result != PCRE2_ERROR_NOMATCH) {
      throw Error(pattern_.source,
                  shown(pattern_.spec.text) + " fails on this text: " + pcre2_message(result));
    }
    check_time();
    from = limit + 1;
    while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) ++from;
  }
  return false;
}

void PatternMatcher::cut_literal(std::string_view text, const PartSink& sink) const {
  const std::string& wanted = pattern_.spec.text;
  size_t done = 0;
  for (size_t found = text.find(wanted); found != std::string_view::npos;
       found = text.find(wanted, done)) {
    if (found > done) sink(done, found, false);
    done = found + wanted.size();
    sink(found, done, true);
  }
  if (done < text.size()) sink(done, text.size(), false);
}

void PatternMatcher::cut(std::string_view text, const PartSink& sink) {
  if (!pattern_.code) return cut_literal(text, sink);
  scratch_->bytes += text.size();
  size_t done = 0;       // everything before has been handed out
  size_t from = 0;       // where the next search starts
  bool matched = false;  // an empty match right behind the last match does not count
  while (from <= text.size() && search(text, from)) {
    const size_t begin = scratch_->begin;
    const size_t end = scratch_->end;
    if (begin == end && matched && end == done) {
      from = end < text.size() ? from + utf8_length(text[from]) : text.size() + 1;
      continue;
    }
    from = end;
    if (begin > done) sink(done, begin, false);
    sink(begin, end, true);
    done = end;
    matched = true;
  }
  if (done < text.size()) sink(done, text.size(), false);
}

}  // namespace scant
