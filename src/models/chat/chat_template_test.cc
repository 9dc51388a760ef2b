#include "models/chat/chat_template.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file_map.h"
#include "models/testing_checkpoint.h"

namespace scant {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

const ordered_json& golden() {
  static const ordered_json kGolden =
      ordered_json::parse(read_file(SCANT_SOURCE_DIR "/tests/goldens/chat/chat.json"));
  return kGolden;
}

chat::Dict variables_with(const ordered_json& messages) {
  ordered_json all = golden()["variables"];
  all["messages"] = messages;
  return chat::Value::from_json(all).entries();
}

/// What Jinja2 rendered, or null where it refused.
void expect_rendered(const std::string& source, const ordered_json& messages,
                     const ordered_json& expected) {
  SCOPED_TRACE(source);
  if (expected.is_null()) {
    const std::string text =
        message_of([&] { ChatTemplate(source, {}, "test").render(variables_with(messages)); });
    EXPECT_THAT(text, testing::StartsWith("test: chat template: line "));
    return;
  }
  try {
    EXPECT_EQ(ChatTemplate(source, {}, "test").render(variables_with(messages)),
              expected.get<std::string>());
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
  }
}

TEST(ChatTemplate, ChatsAreWhatJinja2Renders) {
  ASSERT_EQ(golden()["chats"].size(), 5u);
  for (const auto& chat : golden()["chats"]) {
    for (size_t i = 0; i < golden()["messages"].size(); ++i) {
      expect_rendered(chat["template"], golden()["messages"][i], chat["rendered"][i]);
    }
  }
}

TEST(ChatTemplate, EveryPartOfTheLanguageIsWhatJinja2Renders) {
  ASSERT_GE(golden()["language"].size(), 55u);
  for (const auto& part : golden()["language"]) {
    expect_rendered(part["template"], golden()["messages"][1], part["rendered"]);
  }
}

std::string refusal(const std::string& source) {
  return message_of([&] { ChatTemplate(source, {}, "x").render(std::vector<ChatMessage>{}); });
}

TEST(ChatTemplate, NamesLineAndConstructThatItDoesNotSupport) {
  EXPECT_EQ(refusal("a\n{% include 'b' %}"),
            "x: chat template: line 2: the tag include is not supported");
  EXPECT_EQ(refusal("\n\n{{ 'a' | xmlattr }}"),
            "x: chat template: line 3: the filter xmlattr is not supported");
  EXPECT_EQ(refusal("{{ 1 is sameas 1 }}"),
            "x: chat template: line 1: the test sameas is not supported");
  EXPECT_EQ(refusal("{{ cycler(1) }}"),
            "x: chat template: line 1: cycler is not a function that is supported");
  EXPECT_EQ(refusal("{% if true %}{{ raise_exception('roles\nmust alternate') }}{% endif %}"),
            "x: chat template: line 1: the template says: roles must alternate");
  EXPECT_THAT(refusal("\xff"), HasSubstr("not valid UTF-8"));
}

TEST(ChatTemplate, BoundsTimeMemoryAndDepth) {
  const char* const endless[] = {
      "{% for a in range(1000000000) %}{% endfor %}",
      "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
      "{% set ns = namespace(s='aaaaaaaa') %}{% for a in range(99) %}{% set ns.s = ns.s ~ ns.s %}"
      "{% endfor %}",
      "{{ 'a' * 999999999999 }}",
      "{% set ns = namespace(l=[1]) %}{% for a in range(99) %}{% set ns.l = ns.l + ns.l %}"
      "{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for a in range(99) %}{% set ns.l = [ns.l, ns.l] %}"
      "{% endfor %}",
      "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
      "{% set ns = namespace() %}{% set ns.a = ns %}",
      "{% set ns = namespace() %}{{ [ns] }}",
      "{{ 9223372036854775807 + 1 }}",
  };
  for (const char* source : endless) EXPECT_NE(refusal(source), "") << source;
  for (const char* part : {"(", "[", "-", "not ", "{'a':", "{% if 1 %}", "{{ x(", "1+", "a.b|c("}) {
    std::string source = part[0] == '{' && part[1] != '\'' ? "" : "{{ ";
    for (int i = 0; i < 50000; ++i) source += part;
    EXPECT_NE(refusal(source + "1"), "") << part;
  }
}

TEST(ChatTemplate, ComesFromTheFolderOrTheTokenizerConfiguration) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "scant_chat_test";
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(path / name) << text;
  };
  std::filesystem::copy(SCANT_SOURCE_DIR "/tests/goldens/tokenizers/gpt2.tokenizer.json",
                        path / "tokenizer.json");
  const std::vector<ChatMessage> messages = {{"user", "hi"}};
  const auto rendered = [&] {
    const auto checkpoint = Checkpoint::open(path.string());
    return ChatTemplate::load(*checkpoint, *Tokenizer::load(*checkpoint)).render(messages);
  };
  write("tokenizer_config.json", "{}");
  EXPECT_THAT(message_of(rendered), HasSubstr("has no chat template"));
  write("tokenizer_config.json", R"({"bos_token": {"content": "<b>"}, "eos_token": "<e>",
      "chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"})");
  EXPECT_EQ(rendered(), "<b>hi<e>");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "no"},
      {"name": "default", "template": "{{ messages[0].role }}"}]})");
  EXPECT_EQ(rendered(), "user");
  write("chat_template.jinja", "from the file: {{ add_generation_prompt }}\n");
  EXPECT_EQ(rendered(), "from the file: True");
}

}  // namespace
}  // namespace scant
