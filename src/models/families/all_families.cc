#include "models/families/all_families.h"

#include <array>

namespace scant {

extern const Family kLlama;
extern const Family kMistral;
extern const Family kQwen2;
extern const Family kQwen3;
extern const Family kOpt;
extern const Family kGpt2;

std::span<const Family> all_families() {
  static const std::array kFamilies = {kLlama, kMistral, kQwen2, kQwen3, kOpt, kGpt2};
  return kFamilies;
}

}  // namespace scant
