#include "formats/layouts/dense.h"

#include <algorithm>

namespace scant {

void DenseLayout::write(const PackedSpec& spec, const CodeRows& rows, PackedBytes& out) {
  std::vector<uint32_t> codes(static_cast<size_t>(spec.cols));
  for (int64_t r = 0; r < spec.rows; ++r) {
    rows.read(r, codes);
    append_run(out.codes, codes, rows.code_bits());
  }
}

void DenseLayout::read_row(const LayoutView& view, int64_t row, std::span<uint32_t> codes,
                           std::span<uint8_t> keep) {
  const auto stride = static_cast<size_t>(bytes_of(view.spec.cols * view.code_bits()));
  read_run(view.codes.subspan(static_cast<size_t>(row) * stride, stride), view.spec.cols,
           view.code_bits(), 0, codes);
  std::ranges::fill(keep, uint8_t{1});
}

}  // namespace scant
