#include "formats/layouts/block_sparse.h"

namespace scant {
namespace {

const BlockPattern* block_pattern(const SparsityPattern* pattern) {
  return pattern == nullptr ? nullptr : std::get_if<BlockPattern>(&pattern->pattern);
}

StoredSize size_with(const StoredMatrix& matrix, int64_t position_bits) {
  const BlockPattern& blocks = *block_pattern(matrix.pattern);
  const int64_t kept_blocks = blocks.kept_blocks(matrix.rows, matrix.cols);
  StoredSize size;
  size.positions = bytes_of(position_bits);
  add_codes(size, matrix,
            kept_blocks * bytes_of(blocks.rows * blocks.cols * matrix.format.code_bits()));
  const Granularity& granularity = matrix.format.granularity;
  const bool groups_inside =
      granularity.kind == Granularity::Kind::kGroup && blocks.cols % granularity.size == 0;
  add_scales(size, matrix,
             groups_inside ? kept_blocks * blocks.rows * (blocks.cols / granularity.size)
                           : all_scales(matrix));
  return size;
}

std::optional<std::string> refusal_of(const SparsityPattern* pattern) {
  if (block_pattern(pattern) != nullptr) return std::nullopt;
  return "its blocks are for block patterns";
}

}  // namespace

std::optional<std::string> BlockBitmaskLayout::refusal(const NumberFormat&,
                                                       const SparsityPattern* pattern) {
  return refusal_of(pattern);
}

StoredSize BlockBitmaskLayout::size(const StoredMatrix& matrix) {
  const BlockPattern& blocks = *block_pattern(matrix.pattern);
  return size_with(matrix, blocks.block_rows(matrix.rows) * blocks.block_cols(matrix.cols));
}

std::optional<std::string> BlockRowsLayout::refusal(const NumberFormat&,
                                                    const SparsityPattern* pattern) {
  return refusal_of(pattern);
}

StoredSize BlockRowsLayout::size(const StoredMatrix& matrix) {
  const BlockPattern& blocks = *block_pattern(matrix.pattern);
  const int64_t column_bits = blocks.block_cols(matrix.cols) <= 65536 ? 16 : 32;
  return size_with(matrix, 32 * (blocks.block_rows(matrix.rows) + 1) +
                               column_bits * blocks.kept_blocks(matrix.rows, matrix.cols));
}

}  // namespace scant
