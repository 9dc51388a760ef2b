#include <memory>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "cli/commands.h"
#include "core/error.h"
#include "core/file_map.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {
namespace {

struct Options {
  std::string model;
  std::string text;
  std::string file;
  bool decode = false;
  bool json = false;
  EncodeOptions encode;
};

std::vector<int32_t> parse_ids(const std::string& text, const std::string& source) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array())
    throw Error(source, "expected a JSON array of token ids, such as [1, 2, 3]");
  std::vector<int32_t> ids;
  for (const auto& entry : json) {
    if (!entry.is_number_integer() || entry.get<int64_t>() < 0 ||
        entry.get<int64_t>() > INT32_MAX) {
      throw Error(source, "entry " + std::to_string(ids.size()) + " is not a token id");
    }
    ids.push_back(entry.get<int32_t>());
  }
  return ids;
}

void run(const Options& options, Shell& shell) {
  if (options.text.empty() == options.file.empty()) {
    throw Error("scant tokenize", "expected either TEXT or --text FILE");
  }
  const auto checkpoint = Checkpoint::open(options.model);
  const auto tokenizer = Tokenizer::load(*checkpoint);
  const std::string source = options.file.empty() ? "TEXT" : options.file;
  const std::string text = options.file.empty() ? options.text : read_file(options.file);
  if (options.decode) {
    const std::string decoded = tokenizer->decode(parse_ids(text, source));
    shell.result(options.json ? nlohmann::json(decoded).dump(
                                    -1, ' ', false, nlohmann::json::error_handler_t::replace) +
                                    "\n"
                              : decoded + "\n");
    return;
  }
  // The ids are a JSON array with and without --json; --json adds the tokens' texts.
  const std::vector<int32_t> ids = tokenizer->encode(text, options.encode);
  if (!options.json) {
    shell.result(nlohmann::json(ids).dump() + "\n");
    return;
  }
  nlohmann::ordered_json json;
  json["ids"] = ids;
  json["tokens"] = nlohmann::json::array();
  for (const int32_t id : ids) json["tokens"].push_back(tokenizer->token(id));
  json["count"] = ids.size();
  shell.result(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace

std::function<void(Shell&)> add_tokenize(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model,
                 "Hugging Face folder, folder with a tokenizer, or GGUF file")
      ->required();
  app.add_option("TEXT", options->text, "Text to encode (or, with --decode, a JSON array of ids)");
  app.add_option("--text", options->file, "File to read instead; it is one input");
  app.add_flag("--decode", options->decode, "The input is ids; print their text");
  app.add_flag("--json", options->json, "JSON object with ids, tokens and count");
  app.add_flag("--add-special", options->encode.add_special,
               "Add the special tokens of the model's template (BOS, ...)");
  app.add_flag("--parse-special", options->encode.parse_special,
               "Recognise special tokens spelled in the text");
  return [options](Shell& shell) { run(*options, shell); };
}

}  // namespace scant
