#include "models/chat/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "models/chat/evaluator.h"

namespace scant::chat {
namespace {

class Interpreter {
 public:
  explicit Interpreter(Dict globals)
      : values_(std::move(globals), [this](const MacroSyntax& syntax, Arguments arguments) {
          return call(syntax, arguments);
        }) {}

  std::string run(const Body& body) {
    try {
      std::string out;
      run(body, out);
      return out;
    } catch (const Error& error) {
      throw Error(fmt::format("line {}", values_.line()), error.what());
    }
  }

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue };
  using Kind = Statement::Kind;

  Flow run(const Body& body, std::string& out) {
    const Evaluator::Level level(values_);
    for (const auto& statement : body) {
      values_.at_line(statement->line);
      values_.budget().spend(1);
      const Flow flow = run(*statement, out);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  void print(const std::string& text, std::string& out) {
    values_.budget().spend_text(text.size());
    out += text;
  }

  Flow run(const Statement& s, std::string& out) {
    switch (s.kind) {
      case Kind::kText:
        print(s.text, out);
        return Flow::kNext;
      case Kind::kPrint: {
        const Value value = values_.evaluate(*s.expression);
        values_.budget().spend(value.weight());
        print(value.printed(), out);
        return Flow::kNext;
      }
      case Kind::kIf:
        return run(values_.evaluate(*s.expression).truthy() ? s.body : s.otherwise, out);
      case Kind::kFor:
        return loop(s, out);
      case Kind::kSet:
        assign(s.targets, values_.evaluate(*s.expression));
        return Flow::kNext;
      case Kind::kSetField:
        set_field(s);
        return Flow::kNext;
      case Kind::kSetBlock: {
        std::string text;
        values_.push();
        run(s.body, text);
        values_.pop();
        values_.set(s.targets[0], text);
        return Flow::kNext;
      }
      case Kind::kMacro:
        values_.set(s.macro.name, Macro{&s.macro});
        return Flow::kNext;
      case Kind::kBreak:
        return Flow::kBreak;
      case Kind::kContinue:
        return Flow::kContinue;
      case Kind::kGroup:
        return run(s.body, out);
    }
    return Flow::kNext;
  }

  void assign(const std::vector<std::string>& targets, const Value& value) {
    if (targets.size() == 1) return values_.set(targets[0], value);
    const List items = iterated(value, values_.budget());
    if (items.size() != targets.size()) {
      throw Error("", fmt::format("{} values for {} names", items.size(), targets.size()));
    }
    for (size_t i = 0; i < targets.size(); ++i) values_.set(targets[i], items[i]);
  }

  void set_field(const Statement& s) {
    const Value* target = values_.variable(s.targets[0]);
    if (target == nullptr || !target->holds<Namespace>()) {
      throw Error("", fmt::format("{} is no namespace, whose fields can be set", s.targets[0]));
    }
    const auto fields = target->as<Namespace>().values;
    Value value = values_.evaluate(*s.expression);
    if (value.holds<Namespace>()) throw Error("", "a namespace in a namespace is not supported");
    set_entry(*fields, s.text, std::move(value));
  }

  List loop_items(const Statement& s) {
    List items = iterated(values_.evaluate(*s.expression), values_.budget());
    if (s.condition == nullptr) return items;
    List kept;
    for (Value& item : items) {
      values_.push();
      assign(s.targets, item);
      if (values_.evaluate(*s.condition).truthy()) kept.push_back(std::move(item));
      values_.pop();
    }
    return kept;
  }

  static Value loop_variable(const List& items, size_t i) {
    const auto index = static_cast<int64_t>(i);
    const auto size = static_cast<int64_t>(items.size());
    Dict loop = {{"index", index + 1},
                 {"index0", index},
                 {"revindex", size - index},
                 {"revindex0", size - index - 1},
                 {"first", i == 0},
                 {"last", i + 1 == items.size()},
                 {"length", size}};
    if (i > 0) loop.emplace_back("previtem", items[i - 1]);
    if (i + 1 < items.size()) loop.emplace_back("nextitem", items[i + 1]);
    return Value::dict(std::move(loop));
  }

  Flow loop(const Statement& s, std::string& out) {
    const List items = loop_items(s);
    if (items.empty()) return run(s.otherwise, out);
    for (size_t i = 0; i < items.size(); ++i) {
      values_.budget().spend(8);
      values_.push();
      assign(s.targets, items[i]);
      values_.set("loop", loop_variable(items, i));
      const Flow flow = run(s.body, out);
      values_.pop();
      if (flow == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  Value call(const MacroSyntax& macro, const Arguments& arguments) {
    if (arguments.positional.size() > macro.parameters.size()) {
      throw Error("", fmt::format("the macro {} got too many arguments", macro.name));
    }
    for (const auto& [name, value] : arguments.named) {
      if (std::ranges::none_of(macro.parameters,
                               [&key = name](const auto& p) { return p.first == key; })) {
        throw Error("", fmt::format("the macro {} has no parameter {}", macro.name, name));
      }
    }
    std::vector<Dict> frames = values_.enter_macro();
    values_.push();
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
      const auto& [name, fallback] = macro.parameters[i];
      const Value* given = arguments.find(i, name);
      values_.set(name, given != nullptr      ? *given
                        : fallback != nullptr ? values_.evaluate(*fallback)
                                              : Value(Undefined{name}));
    }
    std::string text;
    run(macro.body, text);
    values_.leave_macro(std::move(frames));
    return text;
  }

  Evaluator values_;
};

}  // namespace

std::string render(const Body& body, Dict globals) {
  return Interpreter(std::move(globals)).run(body);
}

}  // namespace scant::chat
