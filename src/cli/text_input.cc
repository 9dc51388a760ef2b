#include "cli/text_input.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/file_map.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {

std::vector<int32_t> text_ids(const Model& model, const std::string& file, int64_t window,
                              Context& context) {
  return token_ids(model, read_file(file), file, window, context);
}

std::vector<int32_t> token_ids(const Model& model, const std::string& text,
                               const std::string& source, int64_t window, Context& context) {
  const int64_t positions = model.facts().positions;
  if (positions != 0 && window > positions) {
    throw Error("--window",
                fmt::format("{} is longer than the model's context; expected at most {}", window,
                            positions));
  }
  const auto tokenizer = Tokenizer::load(model.checkpoint());
  std::vector<int32_t> ids = tokenizer->encode(text);
  for (const int32_t id : ids) {
    if (id >= model.facts().vocabulary) {
      throw Error(model.checkpoint().path(),
                  fmt::format("its tokenizer makes id {} but the model has {} tokens; the "
                              "tokenizer does not match the model",
                              id, model.facts().vocabulary));
    }
  }
  context.log(LogLevel::kDebug,
              fmt::format("{}: {} bytes, {} tokens", source, text.size(), ids.size()));
  return ids;
}

TextWindows text_windows(const Model& model, const std::string& file,
                         const WindowProtocol& protocol, Context& context) {
  protocol.validate();
  return TextWindows(text_ids(model, file, protocol.window, context), protocol, file);
}

void require_same_tokenizer(const Model& model, const Model& reference) {
  static constexpr const char* kProbe =
      "The 3 old sailors' boats -- \"n\u00e4ive\" \u2014 cost $1,234.50!\n\n\tIt isn't far.";
  if (Tokenizer::load(model.checkpoint())->encode(kProbe) !=
      Tokenizer::load(reference.checkpoint())->encode(kProbe)) {
    throw Error("--reference",
                reference.checkpoint().path() +
                    " has another tokenizer; expected the model that was compressed");
  }
}

}  // namespace scant
