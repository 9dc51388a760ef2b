#include "compress/dense_folder.h"

#include <nlohmann/json.hpp>
#include <string>

#include "checkpoint/folder_writer.h"
#include "models/tokenizer/tokenizer.h"

namespace scant {
namespace {

void write_text(const AtomicFolder& folder, const std::string& name, std::string_view text) {
  OutputFile file(folder.file(name));
  file.write(text);
  file.close();
}

}  // namespace

nlohmann::ordered_json dense_config(const Checkpoint& checkpoint, std::optional<DType> dtype) {
  nlohmann::ordered_json config = nlohmann::ordered_json::parse(checkpoint.config().dump());
  if (dtype) {
    // transformers 5 writes "dtype", older ones "torch_dtype"; both read either.
    const char* key = config.contains("dtype") ? "dtype" : "torch_dtype";
    config[key] = *dtype == DType::kF16    ? "float16"
                  : *dtype == DType::kBF16 ? "bfloat16"
                                           : "float32";
  }
  return config;
}

void write_companions(const Checkpoint& checkpoint, const AtomicFolder& folder,
                      std::optional<DType> dtype, const nlohmann::ordered_json& quantization) {
  nlohmann::ordered_json config = dense_config(checkpoint, dtype);
  if (!quantization.is_null()) config["quantization_config"] = quantization;
  write_text(folder, "config.json", config.dump(2) + "\n");
  copy_companion_files(checkpoint, folder);
  if (checkpoint.gguf_vocabulary() != nullptr) {  // a GGUF's tokenizer becomes a folder's
    const auto tokenizer = Tokenizer::load(checkpoint);
    write_text(folder, "tokenizer.json", tokenizer->to_tokenizer_json());
    write_text(folder, "tokenizer_config.json", tokenizer->to_tokenizer_config_json());
  }
}

}  // namespace scant
