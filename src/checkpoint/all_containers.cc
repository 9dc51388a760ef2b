#include "checkpoint/all_containers.h"

#include <array>

#include "checkpoint/huggingface_folder.h"

namespace scant {

std::span<const Container> all_containers() {
  static constexpr std::array kContainers = {
      Container{"Hugging Face folder", "a folder with config.json and model.safetensors",
                is_huggingface_folder, open_huggingface_folder},
  };
  return kContainers;
}

}  // namespace scant
