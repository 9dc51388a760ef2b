#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/error.h"
#include "models/tokenizer/pattern.h"

namespace scant {
namespace {

// White_Space is what Oniguruma's \s means; PCRE2's own \s has U+180E besides.
constexpr std::string_view kSpace = R"(\p{White_Space})";
constexpr std::string_view kNotSpace = R"(\P{White_Space})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
// Outside brackets Oniguruma takes Latin-1's superscripts and fractions for word characters too.
constexpr std::string_view kWordLatin1 =
    R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})";
constexpr std::string_view kHexDigits = "0-9A-Fa-f";

/// Reads the expression from left to right and writes its translation.
class Translator {
 public:
  Translator(std::string_view in, const std::string& source) : in_(in), source_(source) {}

  std::string translate() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        escape(false);
      } else if (c == '[') {
        char_class();
      } else if (c == '(') {
        group();
      } else if (c == '{') {
        brace();
      } else {
        out_ += c;
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(source_, "the pattern '" + std::string(in_.substr(0, 200)) + "' has " + what +
                             ", which is not supported");
  }

  char peek(size_t ahead) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }
  bool starts_with(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  void copy(size_t count) {
    out_ += in_.substr(at_, count);
    at_ += count;
  }
  void put(std::string_view text, size_t consumed) {
    out_ += text;
    at_ += consumed;
  }

  static std::string bracket(bool negated, std::string_view members) {
    return (negated ? "[^" : "[") + std::string(members) + "]";
  }

  void escape(bool in_class) {
    const char c = peek(1);
    const auto set = [&](std::string_view members) {
      put(in_class ? std::string(members) : bracket(false, members), 2);
    };
    const auto complement = [&](std::string_view members) {
      if (in_class) refuse("a negated set such as \\W inside brackets");
      put(bracket(true, members), 2);
    };
    switch (c) {
      case '\0':
        refuse("a single backslash at its end");
      case 's':
        return put(kSpace, 2);
      case 'S':
        return put(kNotSpace, 2);
      case 'd':
        return put(R"(\p{Nd})", 2);
      case 'D':
        return put(R"(\P{Nd})", 2);
      case 'w':
        return set(in_class ? kWord : kWordLatin1);
      case 'W':
        return complement(kWordLatin1);
      case 'h':
        return set(kHexDigits);
      case 'H':
        return complement(kHexDigits);
      case 'v':
        return put(R"(\x0b)", 2);
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        return copy(2);
      case 'b':
      case 'B':
        return boundary(in_class, c == 'b');
      case 'A':
      case 'z':
      case 'Z':
        if (in_class) refuse("an anchor inside brackets");
        return copy(2);
      case 'x':
      case 'u':
        return code_point();
      case 'p':
      case 'P':
        return property();
      default:
        break;
    }
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alphanumeric) refuse(std::string("the escape \\") + c);
    if (static_cast<unsigned char>(c) < 0x80) return copy(2);
    ++at_;  // a character beyond ASCII needs no backslash; its bytes follow as they are
  }

  void boundary(bool in_class, bool positive) {
    if (in_class) {
      if (!positive) refuse("\\B inside brackets");
      return put(R"(\x08)", 2);
    }
    const std::string word = bracket(false, kWordLatin1);
    const std::string behind = "(?<=" + word + ")";
    const std::string not_behind = "(?<!" + word + ")";
    const std::string ahead = "(?=" + word + ")";
    const std::string not_ahead = "(?!" + word + ")";
    put(positive ? "(?:" + behind + not_ahead + "|" + not_behind + ahead + ")"
                 : "(?:" + behind + ahead + "|" + not_behind + not_ahead + ")",
        2);
  }

  static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  }

  /// \xHH, \x{H...} and \uHHHH, all as \x{H...}.
  void code_point() {
    const bool braced = peek(1) == 'x' && peek(2) == '{';
    const size_t begin = braced ? 3 : 2;
    const size_t most = braced ? 8 : peek(1) == 'u' ? 4 : 2;
    size_t digits = 0;
    while (digits < most && is_hex(peek(begin + digits))) ++digits;
    if (digits == 0 || (peek(1) == 'u' && digits != 4) || (braced && peek(begin + digits) != '}')) {
      refuse("a broken \\x or \\u escape");
    }
    const std::string value(in_.substr(at_ + begin, digits));
    // Oniguruma takes \xHH as a byte, which is a character only in ASCII.
    if (!braced && peek(1) == 'x' && digits == 2 && value[0] >= '8') refuse("a raw byte \\xHH");
    put("\\x{" + value + "}", begin + digits + (braced ? 1 : 0));
  }

  void property() {
    const size_t close = peek(2) == '{' ? in_.find('}', at_) : std::string_view::npos;
    if (close == std::string_view::npos) refuse("a \\p without {...}");
    std::string name(in_.substr(at_ + 3, close - at_ - 3));
    const std::string negation = name.starts_with('^') ? "^" : "";
    name.erase(0, negation.size());
    // PCRE2 takes a bare script name to mean Script_Extensions, Oniguruma to mean Script.
    if (compiles("\\p{sc:" + name + "}")) name.insert(0, "sc:");
    put(std::string(in_.substr(at_, 3)) + negation + name + "}", close + 1 - at_);
  }

  static bool compiles(const std::string& expression) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code =
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                      PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
    pcre2_code_free(code);
    return code != nullptr;
  }

  void char_class() {
    copy(1);
    if (peek(0) == '^') copy(1);
    if (peek(0) == ']') refuse("an empty bracket");
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == ']') return copy(1);
      if (c == '[') refuse("brackets inside brackets");
      if (c == '&' && peek(1) == '&') refuse("an intersection &&");
      if (c == '\\') {
        escape(true);
      } else {
        copy(1);
      }
    }
    refuse("a bracket without its end");
  }

  void group() {
    if (peek(1) == '*') refuse("a verb (*...)");
    if (peek(1) != '?') return copy(1);
    for (const std::string_view known :
         {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?-i:"}) {
      if (starts_with(known)) return copy(known.size());
    }
    // In the middle it would span alternatives differently in the two syntaxes.
    if (at_ == 0 && starts_with("(?i)")) return copy(4);
    refuse("a group '" + std::string(in_.substr(at_, 4)) + "'");
  }

  /// A quantifier {n}, {n,}, {n,m} or {,m}; any other brace is a literal one.
  void brace() {
    size_t i = 1;
    const auto number = [&] {
      const size_t begin = i;
      while (peek(i) >= '0' && peek(i) <= '9') ++i;
      return std::string(in_.substr(at_ + begin, i - begin));
    };
    const std::string least = number();
    const bool comma = peek(i) == ',';
    if (comma) ++i;
    const std::string most = comma ? number() : "";
    if (peek(i) != '}' || (least.empty() && most.empty())) return put("\\{", 1);
    const char next = peek(i + 1);
    if (next == '+' || (next == '?' && !comma)) refuse("a '" + std::string(1, next) + "' behind }");
    put("{" + (least.empty() ? "0" : least) + (comma ? "," + most : "") + "}", i + 1);
  }

  std::string_view in_;
  const std::string& source_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string pcre2_syntax(std::string_view ruby, const std::string& source) {
  return Translator(ruby, source).translate();
}

}  // namespace scant
