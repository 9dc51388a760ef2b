#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "models/chat/value.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {

struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant"
  std::string content;
};

/// The text of the model's chat template: chat_template.jinja of its folder, or else
/// `chat_template` of tokenizer_config.json; empty if there is none.
std::string chat_template_text(const Checkpoint& checkpoint,
                               const nlohmann::json& tokenizer_config);

/// How a chat becomes a prompt: a template in Jinja2's language, as transformers renders it
/// (apply_chat_template). Supported is what templates of models use; a construct that is not is
/// refused by name.
class ChatTemplate {
 public:
  /// chat_template.jinja of the model's folder, or else `chat_template` of its tokenizer
  /// configuration (a text, or a list of which "default" is taken), which a GGUF has too. Throws
  /// Error if there is none or it cannot be read.
  static ChatTemplate load(const Checkpoint& checkpoint, const Tokenizer& tokenizer);
  /// `variables`: bos_token, eos_token, ...; `where` is named in messages.
  ChatTemplate(std::string_view source, chat::Dict variables, std::string where);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;

  /// The prompt for the assistant's next message. Throws Error naming the line for what fails.
  std::string render(std::span<const ChatMessage> messages) const;
  /// With variables of any kind, `messages` among them.
  std::string render(const chat::Dict& variables) const;

 private:
  struct Parsed;
  std::unique_ptr<const Parsed> parsed_;
  chat::Dict variables_;
  std::string where_;
};

}  // namespace scant
