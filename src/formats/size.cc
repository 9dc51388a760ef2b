#include "formats/size.h"

#include "formats/all_layouts.h"

namespace scant {

StoredSize stored_size(int64_t rows, int64_t cols, const NumberFormat& format,
                       const std::optional<SparsityPattern>& pattern, int64_t kept) {
  const SparsityPattern* sparsity = pattern ? &*pattern : nullptr;
  if (const auto size = AllLayouts::smallest({rows, cols, format, sparsity, kept})) return *size;
  throw Error("size", *AllLayouts::refusal(format, sparsity));
}

std::optional<std::string> layout_refusal(const NumberFormat& format,
                                          const std::optional<SparsityPattern>& pattern) {
  return AllLayouts::refusal(format, pattern ? &*pattern : nullptr);
}

}  // namespace scant
