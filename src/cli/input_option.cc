#include "cli/input_option.h"

#include "core/error.h"
#include "formats/spelling.h"

namespace scant {

PackedInputs parse_packed_inputs(const std::string& text) {
  if (text == "int8") return PackedInputs::kInt8;
  if (text == "fp32") return PackedInputs::kFloat;
  throw Error("inputs", quoted_part(text) + " is unknown; allowed are int8, fp32");
}

void add_inputs_option(CLI::App& app, std::string& inputs) {
  app.add_option("--inputs", inputs,
                 "How inputs meet packed weights: int8, rounded per 32 of them, or fp32, as they "
                 "are, which is slower")
      ->capture_default_str();
}

}  // namespace scant
