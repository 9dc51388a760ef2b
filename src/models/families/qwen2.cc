#include "models/families/all_families.h"
#include "models/families/rotary_decoder.h"

namespace scant {
namespace {

void build(ModelBuilder& builder) {
  build_rotary_decoder(builder, {.qkv_bias = true, .windows = qwen_windows(builder.config())});
}

}  // namespace

extern const Family kQwen2;
const Family kQwen2 = {"Qwen2ForCausalLM", "qwen2", build};

}  // namespace scant
