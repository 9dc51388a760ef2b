#include "models/families/all_families.h"
#include "models/families/rotary_decoder.h"

namespace scant {
namespace {

void build(ModelBuilder& builder) {
  const ConfigReader& config = builder.config();
  const bool attention_bias = config.flag_or("attention_bias", false);
  build_rotary_decoder(builder, {.head_dim = 128,
                                 .qkv_bias = attention_bias,
                                 .output_bias = attention_bias,
                                 .head_norms = true,
                                 .windows = qwen_windows(config)});
}

}  // namespace

extern const Family kQwen3;
const Family kQwen3 = {"Qwen3ForCausalLM", "qwen3", build};

}  // namespace scant
