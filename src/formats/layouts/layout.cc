#include "formats/layouts/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/dtype.h"
#include "core/error.h"

namespace scant {

void LayoutView::fail(const std::string& problem) const { throw Error("", problem); }

void CodeRows::read(int64_t row, std::span<uint32_t> codes) const {
  if (!quantized_.format.is_plain()) {
    std::copy_n(quantized_.codes.data() + row * cols(), cols(), codes.data());
    return;
  }
  const DType dtype = std::get<PlainElement>(quantized_.format.element).dtype;
  for (size_t c = 0; c < codes.size(); ++c) {
    const float value = quantized_.plain(row, static_cast<int64_t>(c));
    codes[c] = dtype == DType::kF32    ? std::bit_cast<uint32_t>(value)
               : dtype == DType::kBF16 ? f32_to_bf16(value)
                                       : f32_to_f16(value);
  }
}

uint32_t CodeRows::filler() const {
  return std::visit(
      []<typename T>(const T& element) -> uint32_t {
        if constexpr (CodedElement<T>) {
          return element.nearest(0.0f, 0);
        } else {
          return 0;
        }
      },
      quantized_.format.element);
}

int64_t place_among_all(const PackedSpec& spec, int64_t row, int64_t block) {
  using Kind = Granularity::Kind;
  if (spec.format.granularity.kind == Kind::kTensor) return 0;
  return row * spec.format.scale_count(1, spec.cols) + block / spec.format.blocks_per_scale();
}

std::vector<uint8_t> read_flags(const LayoutView& view, int64_t units, int64_t kept) {
  std::vector<uint8_t> flags(static_cast<size_t>(units));
  for (int64_t i = 0; i < units; ++i) {
    flags[static_cast<size_t>(i)] = static_cast<uint8_t>(get_bits(view.positions, i, 1));
  }
  const auto set = static_cast<int64_t>(std::ranges::count(flags, uint8_t{1}));
  if (set != kept) {
    view.fail(fmt::format("positions keep {} of {} units; expected {}", set, units, kept));
  }
  for (int64_t bit = units; bit % 8 != 0; ++bit) {
    if (get_bits(view.positions, bit, 1) != 0) view.fail("positions go past the last unit");
  }
  return flags;
}

std::vector<uint8_t> chosen_units(std::vector<uint8_t> holds_kept, int64_t kept) {
  auto missing = kept - static_cast<int64_t>(std::ranges::count(holds_kept, uint8_t{1}));
  if (missing < 0) {
    throw Error("pack", fmt::format("the mask keeps {} units too many", -missing));
  }
  for (uint8_t& flag : holds_kept) {
    if (missing == 0) break;
    if (flag == 0) {
      flag = 1;
      --missing;
    }
  }
  return holds_kept;
}

void append_flags(std::span<const uint8_t> flags, std::vector<std::byte>& bytes) {
  const size_t begin = bytes.size();
  const auto count = static_cast<int64_t>(flags.size());
  bytes.resize(begin + static_cast<size_t>(bytes_of(count)));
  for (int64_t i = 0; i < count; ++i) {
    put_bits(std::span(bytes).subspan(begin), i, 1, flags[static_cast<size_t>(i)]);
  }
}

std::vector<int64_t> places_of(std::span<const uint8_t> flags) {
  std::vector<int64_t> places;
  places.reserve(flags.size());
  int64_t next = 0;
  for (const uint8_t flag : flags) places.push_back(flag != 0 ? next++ : -1);
  return places;
}

}  // namespace scant
