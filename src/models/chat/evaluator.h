#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/chat/builtins.h"
#include "models/chat/syntax.h"

namespace scant::chat {

/// Values of expressions, and the variables that they read.
class Evaluator {
 public:
  using CallMacro = std::function<Value(const MacroSyntax&, Arguments)>;
  Evaluator(Dict globals, CallMacro call_macro);

  Value evaluate(const Expression& expression);
  /// The line of what was evaluated last, for messages.
  int line() const { return line_; }
  void at_line(int line) { line_ = line; }
  Budget& budget() { return budget_; }

  /// Variables set from now on are forgotten by the pop() that belongs to it.
  void push() { frames_.emplace_back(); }
  void pop() { frames_.pop_back(); }
  void set(const std::string& name, Value value) {
    set_entry(frames_.back(), name, std::move(value));
  }
  const Value* variable(const std::string& name) const;
  /// Leaves only the outermost variables while a macro runs; give back what this returns.
  std::vector<Dict> enter_macro();
  void leave_macro(std::vector<Dict> frames) { frames_ = std::move(frames); }

  /// Guards recursion.
  class Level {
   public:
    explicit Level(Evaluator& evaluator);
    ~Level() { --evaluator_.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Evaluator& evaluator_;
  };

 private:
  Value name(const std::string& name) const;
  Value list(const Expression& e);
  Value dict(const Expression& e);
  Value attribute(const Value& base, const std::string& name);
  Value item(const Value& base, const Value& key);
  Value slice(const Expression& e);
  Value call(const Expression& e);
  Value arithmetic(const Expression& e);
  Value whole_arithmetic(char op, int64_t a, int64_t b) const;
  Value real_arithmetic(const std::string& op, double a, double b) const;
  Value negative(const Value& value) const;
  bool compare(const Expression& e);
  Arguments arguments(const Expression& e);

  std::vector<Dict> frames_;
  CallMacro call_macro_;
  Budget budget_;
  int line_ = 1;
  int level_ = 0;
};

}  // namespace scant::chat
