#include "models/families/all_families.h"
#include "models/families/rotary_decoder.h"

namespace scant {
namespace {

void build(ModelBuilder& builder) {
  const ConfigReader& config = builder.config();
  const bool attention_bias = config.flag_or("attention_bias", false);
  build_rotary_decoder(builder, {.qkv_bias = attention_bias,
                                 .output_bias = attention_bias,
                                 .feed_forward_bias = config.flag_or("mlp_bias", false)});
}

}  // namespace

extern const Family kLlama;
const Family kLlama = {"LlamaForCausalLM", "llama", build};

}  // namespace scant
