#include "models/families/all_families.h"
#include "models/families/rotary_decoder.h"

namespace scant {
namespace {

// transformers' default where the configuration is silent; null means no window.
constexpr int64_t kDefaultWindow = 4096;

void build(ModelBuilder& builder) {
  const ConfigReader& config = builder.config();
  RotaryDecoderOptions options;
  if (!config.is_null("sliding_window")) {
    options.windows.assign(static_cast<size_t>(config.count("num_hidden_layers")),
                           config.count_or("sliding_window", kDefaultWindow));
  }
  build_rotary_decoder(builder, options);
}

}  // namespace

extern const Family kMistral;
const Family kMistral = {"MistralForCausalLM", "mistral", build};

}  // namespace scant
