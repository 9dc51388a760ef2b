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

const CodedType* coded_type_of(const GgufTensor& tensor) {
  const auto found = std::ranges::find(kCodedTypes, tensor.type->name, &CodedType::type);
  return found == kCodedTypes.end() ? nullptr : &*found;
}

/// Codes and scale of one block: what it evaluates to at the scale 1 are the numbers of the codes.
class BlockReader {
 public:
  BlockReader(const GgufType& type, const NumberFormat& format)
      : type_(type),
        coded_(*std::ranges::find(kCodedTypes, type.name, &CodedType::type)),
        format_(format),
        block_(type.bytes),
        numbers_(type.elements) {}

  /// Throws Error saying which number the element does not have.
  float read(const std::byte* block, uint8_t* codes) {
    std::copy_n(block, block_.size(), block_.begin());
    const auto bytes = static_cast<size_t>(scale_storage_bits(format_.scale_storage) / 8);
    const auto stored = std::span(block_).subspan(coded_.scale_at, bytes);
    const float scale = read_scale(stored, 0, format_.scale_storage);
    std::copy_n(coded_.one_scale.begin(), bytes, stored.begin());
    type_.dequantize(block_.data(), numbers_.data());
    std::visit(
        [&]<typename T>(const T& element) {
          if constexpr (CodedElement<T>) {
            for (const float number : numbers_) {
              *codes = element.nearest(number, 0);
              if (element.code_value(*codes++) == number) continue;
              throw Error(
                  "", fmt::format("the number {} is none of {}", number, format_.element_name()));
            }
          }
        },
        format_.element);
    return scale;
  }

 private:
  const GgufType& type_;
  const CodedType& coded_;
  const NumberFormat& format_;
  std::vector<std::byte> block_;
  std::vector<float> numbers_;
};

}  // namespace

std::optional<PackedEntry> gguf_packed_entry(const Checkpoint& checkpoint,
                                             const StoredTensor& tensor) {
  const GgufTensor* stored = checkpoint.gguf_tensor(tensor);
  if (stored == nullptr || stored->shape.size() != 2) return std::nullopt;
  const CodedType* coded = coded_type_of(*stored);
  if (coded == nullptr) return std::nullopt;
  const GgufTensorName name =
      gguf_tensor_name(*checkpoint.gguf_file(), *stored, checkpoint.config());
  PackedEntry entry;
  entry.spec = {.format = NumberFormat::parse(coded->format, Role::kWeight),
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
  matrix.codes.resize(static_cast<size_t>(matrix.rows * matrix.cols));
  BlockReader reader(type, matrix.format);
  const int64_t blocks = matrix.cols / type.elements;
  try {
    uint8_t* codes = matrix.codes.data();
    for (int64_t r = 0; r < matrix.rows; ++r) {
      const int64_t row = interleaved == 0 ? r : gguf_row(r, interleaved);
      const std::byte* block = stored.data + row * blocks * type.bytes;
      for (int64_t b = 0; b < blocks; ++b, block += type.bytes, codes += type.elements) {
        matrix.scales.push_back(reader.read(block, codes));
      }
    }
    return pack(matrix, nullptr, std::nullopt, entry.spec.layout);
  } catch (const Error& problem) {
    throw Error(fmt::format("{}: tensor {}", checkpoint.path(), quoted_name(tensor.name)),
                problem.what());
  }
}

}  // namespace scant
