#include "models/chat/chat_template.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file_map.h"
#include "models/chat/interpreter.h"
#include "models/chat/syntax.h"
#include "models/generate/end_tokens.h"
#include "models/tokenizer/utf8.h"

namespace scant {
namespace {

constexpr size_t kLargest = size_t{1} << 20;

// Older models have a list of templates with names.
std::string template_of(const nlohmann::json& config) {
  const auto found = config.find("chat_template");
  if (found == config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const auto& entry : *found) {
    if (entry.is_object() && entry.value("name", nlohmann::json()) == "default" &&
        entry.value("template", nlohmann::json()).is_string()) {
      return entry["template"].get<std::string>();
    }
  }
  return "";
}

constexpr const char* kFile = "chat_template.jinja";

bool has_file(const Checkpoint& checkpoint) {
  return std::ranges::count(checkpoint.companion_files(), kFile) != 0;
}

}  // namespace

std::string chat_template_text(const Checkpoint& checkpoint,
                               const nlohmann::json& tokenizer_config) {
  return has_file(checkpoint) ? read_file(checkpoint.path() + "/" + kFile)
                              : template_of(tokenizer_config);
}

struct ChatTemplate::Parsed {
  chat::Body body;
};

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;

ChatTemplate::ChatTemplate(std::string_view source, chat::Dict variables, std::string where)
    : variables_(std::move(variables)), where_(std::move(where)) {
  if (source.size() > kLargest) throw Error(where_, "the chat template is too large");
  try {
    if (!is_valid_utf8(source)) throw Error("", "is not valid UTF-8");
    parsed_ = std::make_unique<Parsed>(Parsed{chat::parse_template(source)});
  } catch (const Error& error) {
    throw Error(where_, std::string("chat template: ") + error.what());
  }
}

ChatTemplate ChatTemplate::load(const Checkpoint& checkpoint, const Tokenizer& tokenizer) {
  const nlohmann::json config = tokenizer_config(tokenizer);
  chat::Dict variables;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    const std::string text = special_token(config, key);
    if (!text.empty()) variables.emplace_back(key, text);
  }
  const std::string source = chat_template_text(checkpoint, config);
  if (source.empty()) {
    throw Error(checkpoint.path(),
                "has no chat template; expected chat_template.jinja, "
                "chat_template in tokenizer_config.json, or a prompt without "
                "--chat");
  }
  return {source, std::move(variables),
          has_file(checkpoint) ? checkpoint.path() + "/" + kFile : checkpoint.path()};
}

std::string ChatTemplate::render(const chat::Dict& variables) const {
  chat::Dict all = variables_;
  for (const auto& [name, value] : variables) chat::set_entry(all, name, value);
  try {
    return chat::render(parsed_->body, std::move(all));
  } catch (const Error& error) {
    throw Error(where_, std::string("chat template: ") + error.what());
  }
}

std::string ChatTemplate::render(std::span<const ChatMessage> messages) const {
  chat::List list;
  for (const ChatMessage& message : messages) {
    list.push_back(chat::Value::dict(
        {{"role", message.role}, {"content", replace_invalid_utf8(message.content)}}));
  }
  return render(chat::Dict{{"messages", chat::Value::list(std::move(list))},
                           {"add_generation_prompt", true},
                           {"tools", chat::None{}},
                           {"documents", chat::None{}}});
}

}  // namespace scant
