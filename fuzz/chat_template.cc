// A chat template, rendered for a chat of two messages.
#include "models/chat/chat_template.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const std::string_view source(reinterpret_cast<const char*>(data), size);
    const scant::ChatTemplate chat(source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, "fuzz");
    const scant::ChatMessage messages[] = {{"system", "Be brief."}, {"user", "Wh\xC3\xA4t?\n"}};
    (void)chat.render(messages);
  } catch (const scant::Error&) {
  }
  return 0;
}
