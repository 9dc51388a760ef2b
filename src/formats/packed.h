#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "formats/mask.h"
#include "formats/number_format.h"
#include "formats/pattern.h"
#include "formats/quantized.h"
#include "formats/size.h"

namespace scant {

/// The runs of bytes that a stored matrix consists of, in the order of docs/formats/layouts.md.
enum class PackedPart : uint8_t {
  kPositions,
  kCodes,
  kScales,
  kZeroPoints,
  kConstants,
  kColumnFactors,
  kColumnOrder
};
inline constexpr size_t kPackedParts = 7;
/// "positions", "codes", "scales", "zero_points", "constants", "column_factors", "column_order".
std::string_view packed_part_name(PackedPart part);

/// What a stored matrix is, apart from its bytes.
struct PackedSpec {
  NumberFormat format;
  std::optional<SparsityPattern> pattern;  ///< nothing: dense
  std::string layout;                      ///< a name of all_layouts.h
  int64_t rows = 0;
  int64_t cols = 0;
  bool column_factors = false;  ///< a float16 factor per column after decoding
  /// Columns are stored in another order, an int32 each (act-order, desc_act): groups are runs of
  /// stored columns. Only dense matrices in groups, without column factors, have one.
  bool column_order = false;

  /// Weights whose codes are stored, apart from what fills ragged blocks.
  int64_t kept() const { return pattern ? pattern->most_kept(rows, cols) : rows * cols; }
  /// Bytes of all parts: what is written equals it. Throws Error if the layout cannot hold it.
  StoredSize size() const;
};

/// Bytes of each part. Throws Error if there is no such layout or it cannot hold the combination.
std::array<int64_t, kPackedParts> packed_part_bytes(const PackedSpec& spec);

/// What a reader of some layouts derives from the positions, once.
struct PackedIndex {
  /// bitmask: kept weights before row i, rows + 1 of them; structured: the place of row (column) i
  /// among the kept ones, or -1; block layouts: the place of block i among the kept ones, or -1.
  std::vector<int64_t> places;
};

struct LayoutFunctions;

/// A matrix as it is stored. Copies share the bytes.
class PackedMatrix {
 public:
  using Parts = std::array<std::span<const std::byte>, kPackedParts>;

  /// Takes bytes that `owner` keeps alive and checks all that a reader relies on: sizes, positions
  /// (ranks in range, positions rising, counts as the pattern says), codes that the element has,
  /// scales that keep values finite, an order that has every column. Throws Error saying which part
  /// is wrong. Reads positions, scales and, where an element does not use all of them, codes; plain
  /// values are not looked at.
  PackedMatrix(PackedSpec spec, const Parts& parts, std::shared_ptr<const void> owner);

  const PackedSpec& spec() const { return spec_; }
  int64_t rows() const { return spec_.rows; }
  int64_t cols() const { return spec_.cols; }
  std::span<const std::byte> part(PackedPart part) const {
    return parts_[static_cast<size_t>(part)];
  }
  const PackedIndex& index() const { return index_; }
  int64_t bytes() const;

  /// The code of each weight of a row in its low bits (the zero code where pruned; the bits of the
  /// value for fp32, bf16, fp16) and whether it is kept. `codes` and `keep`: cols values each, in
  /// the order that is stored.
  void read_row(int64_t row, std::span<uint32_t> codes, std::span<uint8_t> keep) const;
  /// What codes of block `block` of `row` are multiplied by: stored scale times tensor scale.
  /// Blocks are those of the number format, counted within the row as it is stored.
  BlockScale scale(int64_t row, int64_t block) const;
  /// The same without the tensor scale: what the file holds; a scale of 0 where a block has none.
  BlockScale stored_scale(int64_t row, int64_t block) const;
  /// The scales of the super-block that `block` is in, as they are stored; zeros where it has none.
  SuperBlockScales super_block_scales(int64_t row, int64_t block) const;
  /// The second-level scale of the whole matrix (NVFP4); 1 without.
  float tensor_scale() const;
  /// Factor of a column; 1 without column factors.
  float column_factor(int64_t col) const;
  /// The column that stands at each place of the stored rows; empty: its own.
  std::span<const int32_t> column_order() const { return order_; }

  /// Values of rows [begin, begin + out.rows), every column at its own place: exactly what was
  /// simulated. Any layout; the plain definition that kernels are compared with.
  void unpack_rows(int64_t begin, MatrixView out) const;

 private:
  PackedSpec spec_;
  Parts parts_;
  std::shared_ptr<const void> owner_;
  const LayoutFunctions* layout_;
  PackedIndex index_;
  std::vector<int32_t> order_;
};

/// Packs codes and scales (or plain values) in the smallest layout that can hold them, or in the
/// one named `layout`. `mask`: null for a dense matrix. Throws Error if no layout, or not this one,
/// can hold the combination.
PackedMatrix pack(const QuantizedMatrix& quantized, const Mask* mask,
                  const std::optional<SparsityPattern>& pattern, std::string_view layout = {});

}  // namespace scant
