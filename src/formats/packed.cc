#include "formats/packed.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/dtype.h"
#include "core/error.h"
#include "formats/all_layouts.h"
#include "formats/block_codec.h"
#include "formats/spelling.h"

namespace scant {

/// A layout's functions, chosen once by its name.
struct LayoutFunctions {
  std::string_view name;
  LayoutExtent (*extent)(const StoredMatrix&);
  StoredSize (*size)(const StoredMatrix&);
  void (*write)(const PackedSpec&, const CodeRows&, PackedBytes&);
  PackedIndex (*index)(const LayoutView&);
  void (*read_row)(const LayoutView&, int64_t, std::span<uint32_t>, std::span<uint8_t>);
  int64_t (*scale_place)(const LayoutView&, int64_t, int64_t);
  std::optional<std::string> (*refusal)(const NumberFormat&, const SparsityPattern*);
};

namespace {

template <PackedLayout Layout>
constexpr LayoutFunctions kFunctions = {Layout::kName,       Layout::extent, layout_size<Layout>,
                                        Layout::write,       Layout::index,  Layout::read_row,
                                        Layout::scale_place, Layout::refusal};

/// Throws Error listing the names if there is no such layout, or its sentence if it cannot hold
/// the combination.
const LayoutFunctions& functions_of(const PackedSpec& spec) {
  const LayoutFunctions* found = nullptr;
  std::string known;
  AllLayouts::for_each([&]<typename Layout>() {
    if (Layout::kName == spec.layout) found = &kFunctions<Layout>;
    known += (known.empty() ? "" : ", ") + std::string(Layout::kName);
  });
  if (found == nullptr) {
    throw Error("layout",
                fmt::format("there is no {}; expected one of {}", quoted_part(spec.layout), known));
  }
  const bool groups = spec.format.granularity.kind == Granularity::Kind::kGroup;
  if (spec.column_order && (spec.pattern || spec.column_factors || !groups)) {
    throw Error("column_order", "belongs to dense matrices in groups, without column factors");
  }
  if (const auto reason = found->refusal(spec.format, spec.pattern ? &*spec.pattern : nullptr)) {
    throw Error("layout", fmt::format("{} cannot hold this: {}", spec.layout, *reason));
  }
  return *found;
}

StoredMatrix stored_matrix(const PackedSpec& spec) {
  return {spec.rows, spec.cols, spec.format, spec.pattern ? &*spec.pattern : nullptr, spec.kept()};
}

/// Values of a block in one row.
int64_t block_width(const PackedSpec& spec) {
  const Granularity& granularity = spec.format.granularity;
  return granularity.kind == Granularity::Kind::kGroup ? granularity.size : spec.cols;
}

int64_t blocks_in_row(const PackedSpec& spec) {
  if (spec.format.is_plain() || spec.cols == 0) return 0;
  return (spec.cols + block_width(spec) - 1) / block_width(spec);
}

LayoutView view_of(const PackedSpec& spec, const PackedMatrix::Parts& parts,
                   const PackedIndex* index) {
  return {spec, parts[static_cast<size_t>(PackedPart::kPositions)],
          parts[static_cast<size_t>(PackedPart::kCodes)], index};
}

void check_sizes(const PackedSpec& spec, const PackedMatrix::Parts& parts) {
  const auto expected = packed_part_bytes(spec);
  for (size_t i = 0; i < kPackedParts; ++i) {
    if (std::cmp_equal(parts[i].size(), expected[i])) continue;
    throw Error(
        "", fmt::format("{} take {} bytes; expected {} for {} x {} {}{} in {}",
                        packed_part_name(static_cast<PackedPart>(i)), parts[i].size(), expected[i],
                        spec.rows, spec.cols, spec.format.spelling(),
                        spec.pattern ? " with " + spec.pattern->spelling() : "", spec.layout));
  }
}

/// Which codes have values of the element: not NaN, not the lowest integer of a narrow grid.
std::array<bool, 256> codes_in_range(const NumberFormat& format) {
  std::array<bool, 256> known{};
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (int code = 0; code < 1 << element.code_bits(); ++code) {
            const float value = element.code_value(static_cast<uint8_t>(code));
            known[static_cast<size_t>(code)] =
                value >= element.smallest() && value <= element.largest();
          }
        }
      },
      format.element);
  return known;
}

/// Whether every byte of codes that do not straddle pieces is made of codes in range. Filling is
/// the code 0, which every element has.
bool bytes_in_range(std::span<const std::byte> codes, int bits,
                    const std::array<bool, 256>& known) {
  if (CodePieces(bits).count > 1) return false;  // not known
  std::array<bool, 256> bytes{};
  for (size_t byte = 0; byte < bytes.size(); ++byte) {
    bytes[byte] = true;
    for (int bit = 0; bit < 8; bit += bits) {
      bytes[byte] = bytes[byte] && known[(byte >> bit) & ((1u << bits) - 1u)];
    }
  }
  return std::ranges::all_of(codes,
                             [&](std::byte byte) { return bytes[std::to_integer<size_t>(byte)]; });
}

void check_codes(const PackedMatrix& matrix) {
  const PackedSpec& spec = matrix.spec();
  const int bits = spec.format.code_bits();
  const auto known = codes_in_range(spec.format);
  if (spec.format.is_plain() || std::ranges::count(known, true) == 1 << bits) return;
  if (bytes_in_range(matrix.part(PackedPart::kCodes), bits, known)) return;
  std::vector<uint32_t> codes(static_cast<size_t>(spec.cols));
  std::vector<uint8_t> keep(codes.size());
  for (int64_t r = 0; r < spec.rows; ++r) {
    matrix.read_row(r, codes, keep);
    for (size_t c = 0; c < codes.size(); ++c) {
      if (keep[c] == 0 || known[codes[c]]) continue;
      throw Error("", fmt::format("the code at row {}, column {} is {}, which {} does not have", r,
                                  c, codes[c], spec.format.element_name()));
    }
  }
}

/// Where the record of a super-block lies.
std::span<const std::byte> record_at(std::span<const std::byte> scales, const SuperBlock& shape,
                                     int64_t place) {
  const auto bytes = static_cast<size_t>(bytes_of(super_block_record_bits(shape)));
  return scales.subspan(static_cast<size_t>(place) * bytes, bytes);
}

/// Whether every stored scale keeps values up to `reach` finite, wherever it belongs.
bool scales_keep_finite(const PackedMatrix& matrix, float reach) {
  if (matrix.spec().format.super_block() != nullptr) return false;  // not known
  const ScaleStorage storage = matrix.spec().format.scale_storage;
  const auto scales = matrix.part(PackedPart::kScales);
  const auto constants = matrix.part(PackedPart::kConstants);
  const float factor = constants.empty() ? 1.0f : read_scale(constants, 0, ScaleStorage::kF32);
  return scales.empty() || std::isfinite(largest_scale(scales, storage) * factor * reach);
}

/// Every value of a code stays finite.
void check_scales(const PackedMatrix& matrix) {
  const PackedSpec& spec = matrix.spec();
  const float reach = std::visit(
      []<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          return std::max(element.largest(), -element.smallest());
        } else {
          return 0.0f;
        }
      },
      spec.format.element);
  const bool finite = scales_keep_finite(matrix, reach);
  for (int64_t r = 0; !finite && r < spec.rows; ++r) {
    for (int64_t b = 0; b < blocks_in_row(spec); ++b) {
      const BlockScale block = matrix.scale(r, b);
      if (std::isfinite(block.scale * reach) && std::isfinite(block.offset)) continue;
      throw Error("", fmt::format("the scale of row {}, block {} is {}{}; expected one that keeps "
                                  "values finite",
                                  r, b, block.scale,
                                  block.offset == 0 ? "" : fmt::format(" from {}", block.offset)));
    }
  }
  for (int64_t c = 0; spec.column_factors && c < spec.cols; ++c) {
    if (!std::isfinite(matrix.column_factor(c))) {
      throw Error("", fmt::format("the factor of column {} is not finite", c));
    }
  }
}

/// The part as numbers. Throws Error unless every column is there once.
std::vector<int32_t> checked_order(std::span<const std::byte> part) {
  std::vector<int32_t> order(part.size() / sizeof(int32_t));
  if (!order.empty()) std::memcpy(order.data(), part.data(), part.size());
  std::vector<bool> seen(order.size(), false);
  for (size_t place = 0; place < order.size(); ++place) {
    const int32_t column = order[place];
    if (column < 0 || std::cmp_greater_equal(column, order.size()) ||
        seen[static_cast<size_t>(column)]) {
      throw Error("", fmt::format("the column order has {} at place {}; expected each of the {} "
                                  "columns once",
                                  column, place, order.size()));
    }
    seen[static_cast<size_t>(column)] = true;
  }
  return order;
}

/// The scales of the super-block that begins with block `first` of a row.
SuperBlockScales super_block_of(const QuantizedMatrix& quantized, int64_t row, int64_t first) {
  const int64_t count =
      std::min(quantized.format.blocks_per_scale(), (row + 1) * quantized.blocks_per_row() - first);
  SuperBlockScales scales;
  scales.super = quantized.super_scales[static_cast<size_t>(quantized.super_block_of(row, first))];
  for (int64_t b = 0; b < count; ++b) {
    const auto from = static_cast<size_t>(first + b), to = static_cast<size_t>(b);
    scales.scales[to] = static_cast<int>(quantized.scales[from]);
    if (!quantized.offsets.empty()) scales.offsets[to] = static_cast<int>(quantized.offsets[from]);
  }
  return scales;
}

struct OwnedParts {
  std::array<std::vector<std::byte>, kPackedParts> bytes;
  PackedMatrix::Parts views() const {
    PackedMatrix::Parts parts;
    for (size_t i = 0; i < kPackedParts; ++i) parts[i] = bytes[i];
    return parts;
  }
};

/// Scales, zero points, constants, column factors and order in the places of the layout.
void write_scales(const PackedSpec& spec, const QuantizedMatrix& quantized, OwnedParts& parts) {
  const LayoutFunctions& layout = functions_of(spec);
  const auto sizes = packed_part_bytes(spec);
  for (size_t i = static_cast<size_t>(PackedPart::kScales); i < kPackedParts; ++i) {
    parts.bytes[i].resize(static_cast<size_t>(sizes[i]));
  }
  auto& scales = parts.bytes[static_cast<size_t>(PackedPart::kScales)];
  auto& zero_points = parts.bytes[static_cast<size_t>(PackedPart::kZeroPoints)];
  const PackedIndex index = layout.index(view_of(spec, parts.views(), nullptr));
  const LayoutView view = view_of(spec, parts.views(), &index);
  const int width = spec.format.zero_point_bits();
  const SuperBlock* super_block = spec.format.super_block();
  int64_t last = -1;  // one scale for the whole matrix is met in every row
  for (int64_t r = 0; r < spec.rows; ++r) {
    for (int64_t b = 0; b < blocks_in_row(spec); ++b) {
      const int64_t place = layout.scale_place(view, r, b);
      if (place < 0 || place == last) continue;
      last = place;
      const int64_t block = quantized.block_of(r, b * block_width(spec));
      if (super_block != nullptr) {
        const auto bytes = static_cast<size_t>(bytes_of(spec.format.scale_bits()));
        write_super_block(*super_block, super_block_of(quantized, r, block),
                          std::span(scales).subspan(static_cast<size_t>(place) * bytes, bytes));
        continue;
      }
      const auto from = static_cast<size_t>(block);
      write_scale(scales, place, spec.format.scale_storage, quantized.scales[from]);
      if (width == 0) continue;
      put_bits(zero_points, place * width, width,
               static_cast<uint32_t>(quantized.zero_points[from]));
    }
  }
  auto& constants = parts.bytes[static_cast<size_t>(PackedPart::kConstants)];
  for (size_t i = 0; i < quantized.tensor_scales.size(); ++i) {
    write_scale(constants, static_cast<int64_t>(i), ScaleStorage::kF32, quantized.tensor_scales[i]);
  }
  auto& factors = parts.bytes[static_cast<size_t>(PackedPart::kColumnFactors)];
  for (size_t c = 0; c < quantized.column_factors.size(); ++c) {
    write_scale(factors, static_cast<int64_t>(c), ScaleStorage::kF16, quantized.column_factors[c]);
  }
  auto& order = parts.bytes[static_cast<size_t>(PackedPart::kColumnOrder)];
  if (!order.empty()) std::memcpy(order.data(), quantized.column_order.data(), order.size());
}

void check_mask(const QuantizedMatrix& quantized, const Mask* mask,
                const std::optional<SparsityPattern>& pattern) {
  if (pattern.has_value() != (mask != nullptr)) {
    throw Error("pack", "a mask and a sparsity pattern belong together");
  }
  if (mask != nullptr && (mask->rows != quantized.rows || mask->cols != quantized.cols)) {
    throw Error("pack", fmt::format("a mask of {} x {} for a matrix of {} x {}", mask->rows,
                                    mask->cols, quantized.rows, quantized.cols));
  }
  const bool filled = pattern && !std::holds_alternative<BlockPattern>(pattern->pattern);
  if (filled && !quantized.format.rules().has_zero &&
      mask->kept() < pattern->most_kept(mask->rows, mask->cols)) {
    throw Error("pack", fmt::format("{} has no code of zero for the weights that the mask prunes "
                                    "beyond its pattern",
                                    quantized.format.element_name()));
  }
}

}  // namespace

std::string_view packed_part_name(PackedPart part) {
  constexpr std::array<std::string_view, kPackedParts> kNames = {
      "positions", "codes", "scales", "zero_points", "constants", "column_factors", "column_order"};
  return kNames[static_cast<size_t>(part)];
}

std::array<int64_t, kPackedParts> packed_part_bytes(const PackedSpec& spec) {
  const LayoutExtent extent = functions_of(spec).extent(stored_matrix(spec));
  const NumberFormat& format = spec.format;
  return {extent.position_bytes,
          extent.code_bytes,
          extent.scales * bytes_of(format.scale_bits()),
          bytes_of(extent.scales * format.zero_point_bits()),
          format.tensor_scale_count(spec.rows) * static_cast<int64_t>(sizeof(float)),
          spec.column_factors ? 2 * spec.cols : 0,
          spec.column_order ? static_cast<int64_t>(sizeof(int32_t)) * spec.cols : 0};
}

StoredSize PackedSpec::size() const {
  StoredSize size = functions_of(*this).size(stored_matrix(*this));
  if (column_factors) size.column_factors = 2 * cols;
  if (column_order) size.column_order = static_cast<int64_t>(sizeof(int32_t)) * cols;
  return size;
}

PackedMatrix::PackedMatrix(PackedSpec spec, const Parts& parts, std::shared_ptr<const void> owner)
    : spec_(std::move(spec)),
      parts_(parts),
      owner_(std::move(owner)),
      layout_(&functions_of(spec_)) {
  check_sizes(spec_, parts_);
  index_ = layout_->index(view_of(spec_, parts_, nullptr));
  check_scales(*this);
  check_codes(*this);
  order_ = checked_order(part(PackedPart::kColumnOrder));
}

int64_t PackedMatrix::bytes() const {
  int64_t total = 0;
  for (const auto& part : parts_) total += static_cast<int64_t>(part.size());
  return total;
}

void PackedMatrix::read_row(int64_t row, std::span<uint32_t> codes, std::span<uint8_t> keep) const {
  layout_->read_row(view_of(spec_, parts_, &index_), row, codes, keep);
}

BlockScale PackedMatrix::stored_scale(int64_t row, int64_t block) const {
  const int64_t place = layout_->scale_place(view_of(spec_, parts_, &index_), row, block);
  if (place < 0) return {0.0f, 0};
  const NumberFormat& format = spec_.format;
  if (const SuperBlock* shape = format.super_block()) {
    return read_super_block(*shape, record_at(part(PackedPart::kScales), *shape, place),
                            block % shape->blocks());
  }
  BlockScale scale{read_scale(part(PackedPart::kScales), place, format.scale_storage), 0};
  if (const int width = format.zero_point_bits(); width > 0) {
    scale.zero_point =
        static_cast<int32_t>(get_bits(part(PackedPart::kZeroPoints), place * width, width));
  }
  return scale;
}

SuperBlockScales PackedMatrix::super_block_scales(int64_t row, int64_t block) const {
  const int64_t place = layout_->scale_place(view_of(spec_, parts_, &index_), row, block);
  if (place < 0) return {};
  const SuperBlock& shape = *spec_.format.super_block();
  return read_super_block(shape, record_at(part(PackedPart::kScales), shape, place));
}

float PackedMatrix::tensor_scale() const {
  const auto constants = part(PackedPart::kConstants);
  return constants.empty() ? 1.0f : read_scale(constants, 0, ScaleStorage::kF32);
}

BlockScale PackedMatrix::scale(int64_t row, int64_t block) const {
  return effective_scale(stored_scale(row, block), tensor_scale());
}

float PackedMatrix::column_factor(int64_t col) const {
  const auto factors = part(PackedPart::kColumnFactors);
  return factors.empty() ? 1.0f : read_scale(factors, col, ScaleStorage::kF16);
}

void PackedMatrix::unpack_rows(int64_t begin, MatrixView out) const {
  std::vector<uint32_t> codes(static_cast<size_t>(spec_.cols));
  std::vector<uint8_t> keep(codes.size());
  std::visit(
      [&]<typename T>(const T& element) {
        for (int64_t r = 0; r < out.rows; ++r) {
          read_row(begin + r, codes, keep);
          float* values = out.row(r);
          if constexpr (UncodedElement<T>) {
            for (size_t c = 0; c < codes.size(); ++c) {
              values[c] = element.dtype == DType::kF32 ? std::bit_cast<float>(codes[c])
                          : element.dtype == DType::kBF16
                              ? bf16_to_f32(static_cast<uint16_t>(codes[c]))
                              : f16_to_f32(static_cast<uint16_t>(codes[c]));
            }
          } else {
            const BlockCodec<T> codec(element, spec_.format);
            const int64_t width = block_width(spec_);
            for (int64_t b = 0; b < blocks_in_row(spec_); ++b) {
              const BlockScale block = scale(begin + r, b);
              for (int64_t c = b * width; c < std::min(spec_.cols, (b + 1) * width); ++c) {
                const auto at = static_cast<size_t>(c);
                const float value = codec.value(static_cast<uint8_t>(codes[at]), block);
                const size_t column = order_.empty() ? at : static_cast<size_t>(order_[at]);
                values[column] = keep[at] != 0 ? value : 0.0f;
              }
            }
          }
          for (int64_t c = 0; spec_.column_factors && c < spec_.cols; ++c) {
            values[c] *= column_factor(c);
          }
        }
      },
      spec_.format.element);
}

PackedMatrix pack(const QuantizedMatrix& quantized, const Mask* mask,
                  const std::optional<SparsityPattern>& pattern, std::string_view layout) {
  check_mask(quantized, mask, pattern);
  PackedSpec spec{.format = quantized.format,
                  .pattern = pattern,
                  .layout = std::string(layout),
                  .rows = quantized.rows,
                  .cols = quantized.cols,
                  .column_factors = !quantized.column_factors.empty(),
                  .column_order = !quantized.column_order.empty()};
  if (layout.empty()) {
    spec.layout = stored_size(spec.rows, spec.cols, spec.format, pattern, spec.kept()).layout;
  }
  PackedBytes bytes;
  functions_of(spec).write(spec, CodeRows(quantized, mask), bytes);
  auto parts = std::make_shared<OwnedParts>();
  parts->bytes[static_cast<size_t>(PackedPart::kPositions)] = std::move(bytes.positions);
  parts->bytes[static_cast<size_t>(PackedPart::kCodes)] = std::move(bytes.codes);
  write_scales(spec, quantized, *parts);
  return {std::move(spec), parts->views(), parts};
}

}  // namespace scant
