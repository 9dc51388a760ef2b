#include "checkpoint/gguf_codes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_blocks.h"
#include "checkpoint/gguf_model.h"
#include "checkpoint/tensor_table.h"
#include "core/error.h"

namespace scant {
namespace {

/// A block type that is codes of a number format, each block with one scale.
struct CodedType {
  std::string_view type;
  std::string_view format;
  size_t scale_at;                     ///< bytes before the scale in a block
  std::array<std::byte, 2> one_scale;  ///< the scale 1 as it is stored
};

constexpr std::array<std::byte, 2> kOneF16 = {std::byte{0x00}, std::byte{0x3c}};
constexpr std::array<std::byte, 2> kOneE8M0 = {std::byte{127}, std::byte{0}};
constexpr std::array kCodedTypes = {
    CodedType{"Q4_0", "int4:g32:scale=fp16", 0, kOneF16},
    CodedType{"Q5_0", "int5:g32:scale=fp16", 0, kOneF16},
    CodedType{"Q8_0", "int8:g32:scale=fp16", 0, kOneF16},
    CodedType{"TQ2_0", "ternary:g256:scale=fp16", 64, kOneF16},
    CodedType{"MXFP4", "mxfp4", 0, kOneE8M0},
};

/// Bytes of a block, and what they are set to.
struct Bytes {
  size_t begin = 0, end = 0;
  uint8_t value = 0;
};

/// A block type that is a number format of its own name. Where the parts of a block stand, and what
/// makes all its integer scales 1 (offsets 0) or all its codes 1.
struct SuperBlockType {
  std::string_view type;
  std::string_view format;
  size_t scale_at;
  std::optional<size_t> offset_at;
  std::array<Bytes, 3> scales_one{};
  std::array<Bytes, 2> codes_one{};
};

constexpr std::array kSuperBlockTypes = {
    SuperBlockType{"Q4_1", "q4_1", 0, 2},
    SuperBlockType{"Q5_1", "q5_1", 0, 2},
    SuperBlockType{"Q2_K", "q2_k", 80, 82, {{{0, 16, 0x01}}}, {{{16, 80, 0x55}}}},
    SuperBlockType{"Q3_K",
                   "q3_k",
                   108,
                   std::nullopt,
                   {{{96, 104, 0x11}, {104, 108, 0xaa}}},
                   {{{0, 32, 0xff}, {32, 96, 0x55}}}},
    SuperBlockType{
        "Q4_K", "q4_k", 0, 2, {{{4, 8, 0x01}, {8, 12, 0x00}, {12, 16, 0x01}}}, {{{16, 144, 0x11}}}},
    SuperBlockType{"Q5_K",
                   "q5_k",
                   0,
                   2,
                   {{{4, 8, 0x01}, {8, 12, 0x00}, {12, 16, 0x01}}},
                   {{{16, 48, 0x00}, {48, 176, 0x11}}}},
    SuperBlockType{"Q6_K",
                   "q6_k",
                   208,
                   std::nullopt,
                   {{{192, 208, 0x01}}},
                   {{{0, 128, 0x11}, {128, 192, 0xaa}}}},
};

template <typename Type, size_t kTypes>
const Type* type_of(const std::array<Type, kTypes>& types, const GgufType& type) {
  const auto found = std::ranges::find(types, type.name, &Type::type);
  return found == types.end() ? nullptr : &*found;
}

/// The format whose codes a block type holds; empty without one.
std::string_view format_of(const GgufType& type) {
  if (const CodedType* coded = type_of(kCodedTypes, type)) return coded->format;
  const SuperBlockType* super_block = type_of(kSuperBlockTypes, type);
  return super_block != nullptr ? super_block->format : std::string_view();
}

/// Numbers as codes of the format. Throws Error saying which one the element does not have.
void append_codes(std::span<const float> numbers, QuantizedMatrix& matrix) {
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (CodedElement<T>) {
          for (const float number : numbers) {
            const uint8_t code = element.nearest(number, 0);
            if (element.code_value(code) != number) {
              throw Error("", fmt::format("the number {} is none of {}", number,
                                          matrix.format.element_name()));
            }
            matrix.codes.push_back(code);
          }
        }
      },
      matrix.format.element);
}

/// Codes and scale of a block: what it evaluates to at the scale 1 are the numbers of the codes.
class BlockReader {
 public:
  BlockReader(const GgufType& type, const CodedType& coded, QuantizedMatrix& matrix)
      : type_(type), coded_(coded), matrix_(matrix), block_(type.bytes), numbers_(type.elements) {}

  void append(const std::byte* block) {
    std::copy_n(block, block_.size(), block_.begin());
    const ScaleStorage storage = matrix_.format.scale_storage;
    const auto bytes = static_cast<size_t>(scale_storage_bits(storage) / 8);
    const auto stored = std::span(block_).subspan(coded_.scale_at, bytes);
    matrix_.scales.push_back(read_scale(stored, 0, storage));
    std::copy_n(coded_.one_scale.begin(), bytes, stored.begin());
    type_.dequantize(block_.data(), numbers_.data());
    append_codes(numbers_, matrix_);
  }

 private:
  const GgufType& type_;
  const CodedType& coded_;
  QuantizedMatrix& matrix_;
  std::vector<std::byte> block_;
  std::vector<float> numbers_;
};

/// The same for blocks with offsets or integer scales, which are evaluated once for each kind of
/// number in them, the others being 1 or 0.
class SuperBlockReader {
 public:
  SuperBlockReader(const GgufType& type, const SuperBlockType& kind, QuantizedMatrix& matrix)
      : type_(type),
        kind_(kind),
        shape_(*matrix.format.super_block()),
        matrix_(matrix),
        block_(type.bytes),
        numbers_(type.elements) {}

  void append(const std::byte* block) {
    append_super_scale(block);
    evaluate(block, 1.0f, 0.0f, kind_.scales_one);
    append_codes(numbers_, matrix_);
    if (shape_.scale_bits == 0) {  // there are no integers
      matrix_.scales.push_back(1.0f);
      if (shape_.has_offsets) matrix_.offsets.push_back(1.0f);
      return;
    }
    evaluate(block, 1.0f, 0.0f, kind_.codes_one);
    append_first_of_blocks(matrix_.scales);
    if (!shape_.has_offsets) return;
    evaluate(block, 0.0f, -1.0f, {});
    append_first_of_blocks(matrix_.offsets);
  }

 private:
  /// Offsets of types with integers are stored as what is taken away.
  bool subtracts() const { return shape_.scale_bits != 0; }

  void append_super_scale(const std::byte* block) {
    const auto half = [&](size_t at) {
      return read_scale(std::span(block + at, 2), 0, ScaleStorage::kF16);
    };
    SuperScale super{half(kind_.scale_at)};
    if (kind_.offset_at) {
      const float stored = half(*kind_.offset_at);
      super.offset = subtracts() ? 0.0f - stored : stored;
    }
    matrix_.super_scales.push_back(super);
  }

  void evaluate(const std::byte* block, float scale, float offset,
                std::span<const Bytes> replaced) {
    std::copy_n(block, block_.size(), block_.begin());
    const auto put = [&](size_t at, float number) {
      const uint16_t bits = f32_to_f16(number);
      std::memcpy(block_.data() + at, &bits, sizeof bits);
    };
    put(kind_.scale_at, scale);
    if (kind_.offset_at) put(*kind_.offset_at, offset);
    for (const Bytes& bytes : replaced) {
      std::fill(block_.begin() + static_cast<int64_t>(bytes.begin),
                block_.begin() + static_cast<int64_t>(bytes.end), std::byte{bytes.value});
    }
    type_.dequantize(block_.data(), numbers_.data());
  }

  void append_first_of_blocks(std::vector<float>& out) const {
    for (int64_t i = 0; i < shape_.values; i += shape_.block) {
      out.push_back(numbers_[static_cast<size_t>(i)]);
    }
  }

  const GgufType& type_;
  const SuperBlockType& kind_;
  const SuperBlock& shape_;
  QuantizedMatrix& matrix_;
  std::vector<std::byte> block_;
  std::vector<float> numbers_;
};

template <typename Reader>
void read_blocks(const GgufTensor& stored, int64_t interleaved, QuantizedMatrix& matrix,
                 Reader&& reader) {
  const int64_t blocks = matrix.cols / stored.type->elements;
  for (int64_t r = 0; r < matrix.rows; ++r) {
    const int64_t row = interleaved == 0 ? r : gguf_row(r, interleaved);
    const std::byte* block = stored.data + row * blocks * stored.type->bytes;
    for (int64_t b = 0; b < blocks; ++b, block += stored.type->bytes) reader.append(block);
  }
}

}  // namespace

std::optional<PackedEntry> gguf_packed_entry(const Checkpoint& checkpoint,
                                             const StoredTensor& tensor) {
  const GgufTensor* stored = checkpoint.gguf_tensor(tensor);
  if (stored == nullptr || stored->shape.size() != 2) return std::nullopt;
  const std::string_view format = format_of(*stored->type);
  if (format.empty()) return std::nullopt;
  const GgufTensorName name =
      gguf_tensor_name(*checkpoint.gguf_file(), *stored, checkpoint.config());
  PackedEntry entry;
  entry.spec = {.format = NumberFormat::parse(format, Role::kWeight),
                .pattern = std::nullopt,
                .layout = "dense",
                .rows = stored->shape[0],
                .cols = stored->shape[1]};
  entry.shape = tensor.shape;
  entry.transposed = name.transposed;
  return entry;
}

PackedMatrix gguf_packed(const Checkpoint& checkpoint, const StoredTensor& tensor,
                         const PackedEntry& entry) {
  const GgufTensor& stored = *checkpoint.gguf_tensor(tensor);
  const GgufType& type = *stored.type;
  const int64_t interleaved =
      gguf_tensor_name(*checkpoint.gguf_file(), stored, checkpoint.config()).interleaved_rows;
  QuantizedMatrix matrix;
  matrix.format = entry.spec.format;
  matrix.rows = entry.spec.rows;
  matrix.cols = entry.spec.cols;
  matrix.codes.reserve(static_cast<size_t>(matrix.rows * matrix.cols));
  try {
    if (const SuperBlockType* kind = type_of(kSuperBlockTypes, type)) {
      read_blocks(stored, interleaved, matrix, SuperBlockReader(type, *kind, matrix));
    } else {
      read_blocks(stored, interleaved, matrix,
                  BlockReader(type, *type_of(kCodedTypes, type), matrix));
    }
    return pack(matrix, nullptr, std::nullopt, entry.spec.layout);
  } catch (const Error& problem) {
    throw Error(fmt::format("{}: tensor {}", checkpoint.path(), quoted_name(tensor.name)),
                problem.what());
  }
}

}  // namespace scant
