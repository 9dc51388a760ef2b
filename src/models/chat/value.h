#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace scant::chat {

class Value;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;  ///< in the order of insertion
struct MacroSyntax;

struct Undefined {
  std::string name;  ///< for messages
};
struct None {};
/// A function of the language: "range", or a method "strip" of `self`.
struct Builtin {
  std::string name;
  std::shared_ptr<const Value> self;  ///< null: global
};
struct Macro {
  const MacroSyntax* syntax;
};
/// What namespace() makes: the only thing that can be changed.
struct Namespace {
  std::shared_ptr<Dict> values;
};

/// A value of a template: Python's, as far as chat templates need them. Copies are cheap: texts and
/// containers are shared and never change. Containers nest up to kDeepest levels.
class Value {
 public:
  static constexpr int kDeepest = 40;

  Value() : data_(Undefined{}) {}
  Value(None none) : data_(none) {}                      // NOLINT(google-explicit-constructor)
  Value(Undefined undefined) : data_(undefined) {}       // NOLINT(google-explicit-constructor)
  Value(bool value) : data_(value) {}                    // NOLINT(google-explicit-constructor)
  Value(int64_t value) : data_(value) {}                 // NOLINT(google-explicit-constructor)
  Value(double value) : data_(value) {}                  // NOLINT(google-explicit-constructor)
  Value(const char* text) : Value(std::string(text)) {}  // NOLINT(google-explicit-constructor)
  Value(std::string text)                                // NOLINT(google-explicit-constructor)
      : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(Builtin builtin) : data_(std::move(builtin)) {}  // NOLINT(google-explicit-constructor)
  Value(Macro macro) : data_(macro) {}                   // NOLINT(google-explicit-constructor)
  /// Throw Error if they nest too deep.
  static Value list(List items, bool tuple = false);
  static Value dict(Dict items);
  static Value make_namespace(Dict items);
  static Value from_json(const nlohmann::ordered_json& json);

  bool is_undefined() const { return holds<Undefined>(); }
  bool is_none() const { return holds<None>(); }
  bool is_bool() const { return holds<bool>(); }
  bool is_int() const { return holds<int64_t>(); }
  bool is_double() const { return holds<double>(); }
  bool is_number() const { return is_int() || is_double() || is_bool(); }
  bool is_text() const { return holds<Text>(); }
  bool is_list() const { return holds<ListBox>(); }
  bool is_dict() const { return holds<DictBox>(); }
  template <typename T>
  bool holds() const {
    return std::holds_alternative<T>(data_);
  }

  const std::string& text() const { return *std::get<Text>(data_); }
  const List& items() const { return *std::get<ListBox>(data_).items; }
  const Dict& entries() const { return *std::get<DictBox>(data_).items; }
  int64_t integer() const { return is_bool() ? boolean() : std::get<int64_t>(data_); }
  double number() const { return is_double() ? std::get<double>(data_) : double(integer()); }
  bool boolean() const { return std::get<bool>(data_); }
  template <typename T>
  const T& as() const {
    return std::get<T>(data_);
  }

  bool truthy() const;
  /// "a text", "a list", "None", ... for messages.
  std::string_view kind() const;
  /// str(value): of undefined the empty text.
  std::string printed() const;
  /// repr(value)
  std::string spelled() const;
  /// json.dumps(value, ensure_ascii=False); `indent` < 0: on one line. Throws Error for functions
  /// and undefined values.
  std::string json(int indent = -1) const;
  /// Null if there is no such key.
  const Value* find(std::string_view key) const;
  /// The size of a container or text (in characters); -1 for others.
  int64_t length() const;
  /// Roughly how much work a pass over the value is.
  int64_t weight() const;

  friend bool operator==(const Value& a, const Value& b);
  /// Whether a < b. Throws Error if they have no order.
  static bool less(const Value& a, const Value& b);

 private:
  using Text = std::shared_ptr<const std::string>;
  struct ListBox {
    std::shared_ptr<const List> items;
    bool tuple;
    int depth;
  };
  struct DictBox {
    std::shared_ptr<const Dict> items;
    int depth;
  };
  int depth() const;
  void dump(std::string& out, int indent, int level) const;

  std::variant<Undefined, None, bool, int64_t, double, Text, ListBox, DictBox, Builtin, Macro,
               Namespace>
      data_;
};

/// Entry of a dictionary, replaced or added.
void set_entry(Dict& dict, const std::string& key, Value value);

}  // namespace scant::chat
