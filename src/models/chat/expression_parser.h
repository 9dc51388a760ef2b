#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "models/chat/lexer.h"
#include "models/chat/syntax.h"

namespace scant::chat {

/// Reads expressions from the tokens of a template, with Jinja2's grammar and precedence.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  /// An expression; `tuple`: "a, b" without parentheses is one too; `conditional`: "a if b".
  ExpressionPtr expression(bool tuple = false, bool conditional = true);

  const Token& peek(size_t ahead = 0) const;
  Token next();
  bool is(std::string_view text) const;  ///< an operator or a name
  bool skip(std::string_view text);      ///< takes it if it is there
  void expect(std::string_view text);
  void expect(Token::Kind kind, std::string_view what);
  std::string name(std::string_view what);
  [[noreturn]] void fail(const std::string& problem) const;

  /// Guards recursion: constructs one inside the other.
  class Level {
   public:
    explicit Level(ExpressionParser& parser);
    ~Level() { --parser_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    ExpressionParser& parser_;
  };

 private:
  using Part = ExpressionPtr (ExpressionParser::*)();
  ExpressionPtr make(Expression::Kind kind, std::string text = "");
  ExpressionPtr chain(std::initializer_list<std::string_view> operators, Part part);
  ExpressionPtr one(bool conditional);
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr joined();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr signed_value();
  ExpressionPtr signed_only();
  ExpressionPtr primary();
  ExpressionPtr literal_name(const std::string& name);
  ExpressionPtr bracketed();
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr base);
  ExpressionPtr filtered(ExpressionPtr base);
  ExpressionPtr subscript(ExpressionPtr base);
  ExpressionPtr test(ExpressionPtr base);
  void arguments(Expression& call);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int level_ = 0;
  int expressions_ = 0;  ///< that are being read, one inside the other
  int parts_ = 0;        ///< of the outermost
};

}  // namespace scant::chat
