#include "models/chat/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "models/tokenizer/utf8.h"

namespace scant::chat {
namespace {

constexpr std::string_view kSpace = " \t\n\r\f\v";

bool is_space(char c) { return kSpace.find(c) != std::string_view::npos; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {
    if (source_.ends_with('\n')) source_.remove_suffix(1);
    if (source_.ends_with('\r')) source_.remove_suffix(1);
  }

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    push(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(fmt::format("line {}", line_), problem);
  }
  void push(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), line_});
  }
  void advance(size_t count) {
    line_ += static_cast<int>(std::ranges::count(source_.substr(at_, count), '\n'));
    at_ += count;
  }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  // Text up to the next opening, and then what opens there.
  void text() {
    size_t open = at_;
    while (true) {
      open = source_.find('{', open);
      if (open == std::string_view::npos) open = source_.size();
      if (open + 1 >= source_.size()) {
        open = source_.size();
        break;
      }
      const char next = source_[open + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++open;
    }
    std::string text(source_.substr(at_, open - at_));
    const bool at_end = open == source_.size();
    const char kind = at_end ? '\0' : source_[open + 1];
    const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    if (!at_end && sign == '-') {
      text.erase(text.find_last_not_of(kSpace) + 1);
    } else if ((kind == '%' || kind == '#') && sign != '+') {
      strip_line_start(text);
    }
    if (!text.empty()) push(Token::Kind::kText, text);
    advance(open - at_);
    if (at_end) return;
    const bool signed_open = sign == '-' || sign == '+';
    advance(signed_open ? 3 : 2);
    if (kind == '#') return comment();
    push(kind == '{' ? Token::Kind::kPrintBegin : Token::Kind::kTagBegin, "");
    inside(kind == '{');
  }

  // lstrip_blocks: only where nothing but white space stands before the tag on its line.
  void strip_line_start(std::string& text) const {
    const size_t last = text.find_last_not_of(" \t\r\f\v");
    if (last == std::string::npos) {
      if (at_ == 0 || source_[at_ - 1] == '\n') text.clear();
    } else if (text[last] == '\n') {
      text.erase(last + 1);
    }
  }

  // After a tag or comment: what goes, by its sign.
  void close(char sign, bool trim_line_break) {
    if (sign == '-') {
      while (at_ < source_.size() && is_space(peek())) advance(1);
    } else if (trim_line_break && sign != '+' && peek() == '\n') {
      advance(1);
    }
  }

  void comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) fail("a comment has no end #}");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    advance(end + 2 - at_);
    close(sign, true);
  }

  void inside(bool print) {
    const std::string_view end = print ? "}}" : "%}";
    int open = 0;  // brackets: }} may end a dictionary in a dictionary
    while (true) {
      while (at_ < source_.size() && is_space(peek())) advance(1);
      if (at_ == source_.size()) fail(fmt::format("a tag has no end {}", end));
      const char sign = peek();
      const bool is_signed =
          (sign == '-' || sign == '+') && source_.substr(at_ + 1).starts_with(end);
      if (open == 0 && (is_signed || source_.substr(at_).starts_with(end))) {
        push(print ? Token::Kind::kPrintEnd : Token::Kind::kTagEnd, "");
        advance(is_signed ? 3 : 2);
        return close(is_signed ? sign : '\0', !print);
      }
      expression_token(open);
    }
  }

  void expression_token(int& open) {
    const char c = peek();
    if (c == '\'' || c == '"') return string(c);
    if (is_digit(c)) return number();
    if (is_letter(c)) {
      size_t length = 1;
      while (is_letter(peek(length)) || is_digit(peek(length))) ++length;
      return take(Token::Kind::kName, length);
    }
    static constexpr std::array<std::string_view, 6> kDouble = {"==", "!=", "<=", ">=", "//", "**"};
    for (const std::string_view two : kDouble) {
      if (source_.substr(at_).starts_with(two)) return take(Token::Kind::kOperator, 2);
    }
    if (std::string_view("+-*/%~<>=()[]{}.,:|").find(c) == std::string_view::npos) {
      fail(fmt::format("'{}' is not expected in a tag",
                       replace_invalid_utf8(source_.substr(at_, utf8_length(c)))));
    }
    if (c == '(' || c == '[' || c == '{') ++open;
    if (c == ')' || c == ']' || c == '}') --open;
    if (open < 0) fail(fmt::format("'{}' closes nothing", c));
    take(Token::Kind::kOperator, 1);
  }

  void take(Token::Kind kind, size_t length) {
    push(kind, std::string(source_.substr(at_, length)));
    advance(length);
  }

  void number() {
    size_t length = 1;
    while (is_digit(peek(length)) || (peek(length) == '_' && is_digit(peek(length + 1)))) ++length;
    bool whole = true;
    if (peek(length) == '.' && is_digit(peek(length + 1))) {
      whole = false;
      ++length;
      while (is_digit(peek(length))) ++length;
    }
    const size_t sign = peek(length + 1) == '+' || peek(length + 1) == '-' ? 1 : 0;
    if ((peek(length) == 'e' || peek(length) == 'E') && is_digit(peek(length + 1 + sign))) {
      whole = false;
      length += 1 + sign;
      while (is_digit(peek(length))) ++length;
    }
    std::string text(source_.substr(at_, length));
    std::erase(text, '_');
    push(whole ? Token::Kind::kInteger : Token::Kind::kFloat, text);
    advance(length);
  }

  void string(char quote) {
    std::string text;
    size_t i = at_ + 1;
    for (; i < source_.size() && source_[i] != quote; ++i) {
      if (source_[i] == '\\' && i + 1 < source_.size()) {
        escape(text, i);
      } else {
        text += source_[i];
      }
    }
    if (i >= source_.size()) fail("a text has no closing quote");
    push(Token::Kind::kString, text);
    advance(i + 1 - at_);
  }

  // source_[i] is the backslash; moves i to the last character of the escape.
  void escape(std::string& text, size_t& i) const {
    const char c = source_[++i];
    static constexpr std::string_view kFrom = "ntrbfva0\\'\"";
    static constexpr std::string_view kTo("\n\t\r\b\f\v\a\0\\'\"", 11);
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    if (digits > 0 && i + digits < source_.size()) {
      char32_t code = 0;
      for (size_t d = 1; d <= digits; ++d) {
        const size_t value =
            std::string_view("0123456789abcdef")
                .find(static_cast<char>(std::tolower(static_cast<unsigned char>(source_[i + d]))));
        if (value == std::string_view::npos) fail("an escape \\x or \\u lacks digits");
        code = code * 16 + static_cast<char32_t>(value);
      }
      if (code >= 0xD800 && code < 0xE000) fail("an escape \\u is half a character");
      append_character(text, code);
      i += digits;
    } else if (const size_t at = kFrom.find(c); at != std::string_view::npos) {
      text += kTo[at];
    } else {
      text += '\\';
      text += c;
    }
  }

  std::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> cut_template(std::string_view source) { return Lexer(source).run(); }

}  // namespace scant::chat
