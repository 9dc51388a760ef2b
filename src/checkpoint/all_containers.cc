#include "checkpoint/all_containers.h"

#include <array>

#include "checkpoint/gguf_checkpoint.h"
#include "checkpoint/huggingface_folder.h"

namespace scant {

std::span<const Container> all_containers() {
  static constexpr std::array kContainers = {
      Container{"Hugging Face folder", "a folder with config.json and model.safetensors",
                is_huggingface_folder, open_huggingface_folder},
      Container{"GGUF", "a GGUF file", is_gguf_file, open_gguf},
  };
  return kContainers;
}

}  // namespace scant
