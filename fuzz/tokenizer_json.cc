// A tokenizer.json, then a short text through it: encoded in every mode and decoded.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "models/tokenizer/tokenizer.h"

namespace {

constexpr std::string_view kText =
    "The  tok_a fox's 12345\r\n\t<s>abab<|im_start|>\xE6\xB1\x89\xC3\xA9"
    "e\xCC\x81\xF0\x9F\x99\x82 \xFF\xE2\x82 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "bcbcbcbcbcbcbcbcbcbcbcbcbcbcbc \xE2\x96\x81 1.5 != [INST] </s>";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto tokenizer = scant::Tokenizer::from_json(
        std::string_view(reinterpret_cast<const char*>(data), size), "tokenizer.json");
    for (const bool parse_special : {false, true}) {
      const std::vector<int32_t> ids =
          tokenizer->encode(kText, {.add_special = parse_special, .parse_special = parse_special});
      for (const int32_t id : ids) {
        if (id < 0 || id >= tokenizer->vocabulary_size()) __builtin_trap();
        tokenizer->token(id);
      }
      tokenizer->decode(ids, parse_special);
    }
  } catch (const scant::Error&) {
  }
  return 0;
}
