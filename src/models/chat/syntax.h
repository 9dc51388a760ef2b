#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/chat/value.h"

namespace scant::chat {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Kind : uint8_t {
    kLiteral,      ///< value
    kName,         ///< text
    kList,         ///< items
    kTuple,        ///< items
    kDict,         ///< items: key, value, key, value, ...
    kAttribute,    ///< items[0].text
    kItem,         ///< items[0][items[1]]
    kSlice,        ///< items[0][items[1]:items[2]:items[3]], each may be null
    kCall,         ///< items[0](items[1], ..., named)
    kFilter,       ///< items[0] | text(items[1], ..., named)
    kTest,         ///< items[0] is text(items[1], ...)
    kNot,          ///< not items[0]
    kNegative,     ///< -items[0]
    kPositive,     ///< +items[0]
    kAnd,          ///< items[0] and items[1]
    kOr,           ///< items[0] or items[1]
    kArithmetic,   ///< items[0] text items[1]; "~" too
    kCompare,      ///< items[0] operators[0] items[1] operators[1] items[2] ...
    kConditional,  ///< items[0] if items[1] else items[2], which may be null
  };
  Kind kind = Kind::kLiteral;
  int line = 1;
  std::string text;
  Value value;
  std::vector<ExpressionPtr> items;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  std::vector<std::string> operators;
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct MacroSyntax {
  std::string name;
  std::vector<std::pair<std::string, ExpressionPtr>> parameters;  ///< with defaults, or null
  Body body;
};

struct Statement {
  enum class Kind : uint8_t {
    kText,      ///< text
    kPrint,     ///< expression
    kIf,        ///< expression, body, otherwise
    kFor,       ///< targets in expression (if condition), body, otherwise
    kSet,       ///< targets = expression
    kSetField,  ///< targets[0].text = expression, of a namespace
    kSetBlock,  ///< targets[0] = what body prints
    kMacro,     ///< macro
    kBreak,
    kContinue,
    kGroup,  ///< body, as it is
  };
  Kind kind = Kind::kText;
  int line = 1;
  std::string text;
  std::vector<std::string> targets;
  ExpressionPtr expression;
  ExpressionPtr condition;
  Body body;
  Body otherwise;
  MacroSyntax macro;
};

/// The statements of a template. Throws Error naming the line and what is wrong or not supported.
Body parse_template(std::string_view source);

}  // namespace scant::chat
