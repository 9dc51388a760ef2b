#include <algorithm>
#include <array>

#include "methods/quantize/quantizer.h"

namespace scant {

std::span<const Quantizer> all_quantizers() {
  static const std::array kQuantizers = {rtn_quantizer(),   imatrix_quantizer(),
                                         awq_quantizer(),   gptq_quantizer(),
                                         gptaq_quantizer(), gptq_desc_act_quantizer()};
  return kQuantizers;
}

const Quantizer* find_quantizer(std::string_view name) {
  const auto all = all_quantizers();
  const auto found = std::ranges::find(all, name, &Quantizer::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace scant
