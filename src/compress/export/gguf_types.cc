#include "compress/export/gguf_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compress/export/coded_folder.h"
#include "compress/export/gguf_super_blocks.h"
#include "core/dtype.h"
#include "core/error.h"

namespace scant {
namespace {

constexpr std::string_view kTarget = "GGUF";
constexpr int64_t kSmallBlock = 32;

/// Levels from `lowest` on: the block types whose values are d (q + lowest).
bool within(const std::optional<GgufLevels>& levels, int lowest, int highest) {
  return levels && levels->lowest >= lowest && levels->highest <= highest;
}

template <int kLowest, int kHighest>
bool holds_levels(const NumberFormat& format, const std::optional<GgufLevels>& levels) {
  return !format.rules().two_level && within(levels, kLowest, kHighest);
}

void put_step(const GgufRow& row, int64_t column, int64_t count, std::byte* out) {
  const uint16_t bits = row.step(column, count);
  std::memcpy(out, &bits, sizeof bits);
}

/// `lowest`: the value of code 0. The layouts are drawn in checkpoint/gguf_blocks.cc.
unsigned code(const GgufRow& row, int64_t column, int lowest) {
  return static_cast<unsigned>(row.levels()[static_cast<size_t>(column)] - lowest);
}

void encode_q4_0(const GgufRow& row, int64_t column, std::byte* block) {
  put_step(row, column, kSmallBlock, block);
  for (int64_t j = 0; j < 16; ++j) {
    block[2 + j] =
        static_cast<std::byte>(code(row, column + j, -8) | code(row, column + j + 16, -8) << 4);
  }
}

void encode_q5_0(const GgufRow& row, int64_t column, std::byte* block) {
  put_step(row, column, kSmallBlock, block);
  uint32_t high = 0;
  for (int64_t j = 0; j < 16; ++j) {
    const unsigned first = code(row, column + j, -16), second = code(row, column + j + 16, -16);
    high |= first >> 4 << j | second >> 4 << (j + 16);
    block[6 + j] = static_cast<std::byte>((first & 15) | (second & 15) << 4);
  }
  std::memcpy(block + 2, &high, sizeof high);
}

void encode_q8_0(const GgufRow& row, int64_t column, std::byte* block) {
  put_step(row, column, kSmallBlock, block);
  for (int64_t j = 0; j < kSmallBlock; ++j) {
    block[2 + j] = static_cast<std::byte>(row.levels()[static_cast<size_t>(column + j)]);
  }
}

void encode_tq2_0(const GgufRow& row, int64_t column, std::byte* block) {
  for (int64_t i = 0; i < 64; ++i) {
    const int64_t first = column + i / 32 * 128 + i % 32;
    unsigned four = 0;
    for (int run = 0; run < 4; ++run) four |= code(row, first + 32 * run, -1) << (2 * run);
    block[i] = static_cast<std::byte>(four);
  }
  put_step(row, column, 256, block + 64);
}

bool holds_mxfp4(const NumberFormat& format, const std::optional<GgufLevels>&) {
  const auto* element = std::get_if<MxElement>(&format.element);
  return element != nullptr && element->kind == MxElement::Kind::kFp4;
}

void encode_mxfp4(const GgufRow& row, int64_t column, std::byte* block) {
  const float scale = row.matrix().stored_scale(row.row(), row.group(column)).scale;
  // A block without kept weights has no scale, and any exponent will do.
  block[0] = static_cast<std::byte>(scale > 0.0f ? std::ilogb(scale) + 127 : 0);
  const auto codes = row.codes().subspan(static_cast<size_t>(column));
  for (size_t j = 0; j < 16; ++j) {
    block[1 + j] = static_cast<std::byte>((codes[j] & 15) | (codes[j + 16] & 15) << 4);
  }
}

template <GgufBlockElement::Kind kKind>
bool holds_kind(const NumberFormat& format, const std::optional<GgufLevels>&) {
  const auto* element = std::get_if<GgufBlockElement>(&format.element);
  return element != nullptr && element->kind == kKind;
}

constexpr std::string_view kGroups = "fp16 exactly; gN of whole blocks, channel, tensor";

/// The nearest format that some type holds.
std::string nearest(const ExportedWeight& weight) {
  const NumberFormat& format = weight.entry.spec.format;
  if (const SuperBlock* shape = format.super_block()) {
    if (!shape->has_offsets) return "int8:g32:scale=fp16";
    return format.code_bits() == 5 ? "q5_1" : "q4_1";
  }
  const auto levels = GgufLevels::of(format);
  const bool held = levels && !format.rules().two_level &&
                    std::max(-levels->lowest, levels->highest + 1) <= 128 &&
                    std::holds_alternative<IntElement>(format.element);
  const int bits = format.code_bits();
  NumberFormat near = held ? format
                           : NumberFormat::parse(bits <= 4   ? "int4"
                                                 : bits == 5 ? "int5"
                                                             : "int8",
                                                 Role::kWeight);
  const Granularity& granularity = format.granularity;
  const bool groups = granularity.kind == Granularity::Kind::kGroup;
  near.granularity =
      !held || groups ? Granularity{Granularity::Kind::kGroup, kSmallBlock} : granularity;
  if (held && groups && granularity.size % kSmallBlock == 0) near.granularity = granularity;
  near.scale_storage = ScaleStorage::kF16;
  return near.spelling();
}

bool fills_blocks(const PackedSpec& spec, int64_t elements) {
  const Granularity& granularity = spec.format.granularity;
  const bool groups =
      granularity.kind == Granularity::Kind::kGroup && spec.format.super_block() == nullptr;
  return spec.cols % elements == 0 &&
         (!groups || granularity.size % elements == 0 || granularity.size >= spec.cols);
}

}  // namespace

std::optional<GgufLevels> GgufLevels::of(const NumberFormat& format) {
  return std::visit(
      [&]<typename T>(const T& element) -> std::optional<GgufLevels> {
        if constexpr (!ElementScaledByStatistics<T>) {
          return std::nullopt;  // plain, or integers with a type of their own
        } else {
          GgufLevels result;
          for (const uint8_t code : element.codes()) {
            const float size = std::abs(element.code_value(code));
            if (size > 0.0f) result.unit = std::min(result.unit, size);
          }
          int exponent = 0;
          if (std::frexp(result.unit, &exponent) != 0.5f) return std::nullopt;
          constexpr float kMost = 1024.0f;
          for (unsigned code = 0; code < 1u << element.code_bits(); ++code) {
            const float level = element.code_value(static_cast<uint8_t>(code)) / result.unit;
            if (!(std::abs(level) < kMost)) continue;  // also what is no number
            result.of_code[code] = static_cast<int16_t>(level);
          }
          for (const uint8_t code : element.codes()) {
            const float level = element.code_value(code) / result.unit;
            if (std::abs(level) >= kMost || level != std::floor(level)) return std::nullopt;
            result.lowest = std::min(result.lowest, static_cast<int>(level));
            result.highest = std::max(result.highest, static_cast<int>(level));
          }
          if (format.rules().zero_point) result.lowest = -result.highest;
          return result;
        }
      },
      format.element);
}

GgufRow::GgufRow(const ExportedWeight& weight, const PackedMatrix& matrix,
                 const std::optional<GgufLevels>& levels)
    : weight_(weight), matrix_(matrix), levels_(levels), width_(matrix.cols()) {
  const Granularity& granularity = matrix.spec().format.granularity;
  if (granularity.kind == Granularity::Kind::kGroup) width_ = granularity.size;
  codes_.resize(static_cast<size_t>(matrix.cols()));
  keep_.resize(codes_.size());
  if (levels_) values_.resize(codes_.size());
}

void GgufRow::read(int64_t row) {
  row_ = row;
  matrix_.read_row(row, codes_, keep_);
  if (!levels_) {
    read_codes(matrix_, row, codes_);
    return;
  }
  const bool asymmetric = matrix_.spec().format.rules().zero_point;
  for (size_t begin = 0; begin < codes_.size(); begin += static_cast<size_t>(width_)) {
    const size_t end = std::min(codes_.size(), begin + static_cast<size_t>(width_));
    const int zero =
        asymmetric ? matrix_.stored_scale(row, group(static_cast<int64_t>(begin))).zero_point : 0;
    for (size_t c = begin; c < end; ++c) {
      const int level = levels_->of_code[codes_[c] & 255] - zero;
      values_[c] = static_cast<int16_t>(keep_[c] != 0 ? level : 0);
    }
  }
}

uint16_t GgufRow::step(int64_t column, int64_t count) const {
  const float scale = matrix_.scale(row_, group(column)).scale;
  const float step = scale * levels_->unit;
  const uint16_t bits = f32_to_f16(step);
  if (f16_to_f32(bits) == step) return bits;
  const auto some = levels().subspan(static_cast<size_t>(column), static_cast<size_t>(count));
  if (std::ranges::all_of(some, [](int16_t level) { return level == 0; })) return 0;
  refuse_weight(weight_, kTarget,
                fmt::format("has the scale {} (output {}, group {}), which float16 does not hold",
                            scale, row_, group(column)),
                nearest(weight_));
}

uint32_t gguf_file_type(const GgufType& type) {
  struct Pair {
    std::string_view type;
    uint32_t file_type;
  };
  // llama.h, enum llama_ftype.
  static constexpr std::array kPairs = {
      Pair{"F32", 0},   Pair{"F16", 1},   Pair{"BF16", 32}, Pair{"Q4_0", 2},   Pair{"Q4_1", 3},
      Pair{"Q5_0", 8},  Pair{"Q5_1", 9},  Pair{"Q8_0", 7},  Pair{"Q2_K", 10},  Pair{"Q3_K", 12},
      Pair{"Q4_K", 15}, Pair{"Q5_K", 17}, Pair{"Q6_K", 18}, Pair{"TQ2_0", 37}, Pair{"MXFP4", 38},
  };
  constexpr uint32_t kGuessed = 1024;
  const auto found = std::ranges::find(kPairs, type.name, &Pair::type);
  return found == kPairs.end() ? kGuessed : found->file_type;
}

std::span<const GgufEncoding> all_gguf_encodings() {
  const auto type = [](std::string_view name) { return find_gguf_type(name); };
  using Kind = GgufBlockElement::Kind;
  static const std::array kEncodings = {
      GgufEncoding{type("TQ2_0"), "ternary, int2:narrow, binary",
                   "fp16 exactly; groups of 256, channel, tensor", true, holds_levels<-1, 1>,
                   encode_tq2_0},
      GgufEncoding{type("Q2_K"), "q2_k", "its own", false, holds_kind<Kind::kQ2K>, encode_q2_k},
      GgufEncoding{type("Q3_K"), "q3_k", "its own", true, holds_kind<Kind::kQ3K>, encode_q3_k},
      GgufEncoding{type("MXFP4"), "mxfp4", "as it is", true, holds_mxfp4, encode_mxfp4},
      GgufEncoding{type("Q4_0"), "int2 to int4; int2, int3 :asym; ternary, binary, hbfp4", kGroups,
                   true, holds_levels<-8, 7>, encode_q4_0},
      GgufEncoding{type("Q4_K"), "q4_k", "its own", false, holds_kind<Kind::kQ4K>, encode_q4_k},
      GgufEncoding{type("Q4_1"), "q4_1", "its own", false, holds_kind<Kind::kQ41>, encode_q4_1},
      GgufEncoding{type("Q5_0"), "int5, int4:asym; fp4_e2m1", kGroups, true, holds_levels<-16, 15>,
                   encode_q5_0},
      GgufEncoding{type("Q5_K"), "q5_k", "its own", false, holds_kind<Kind::kQ5K>, encode_q5_k},
      GgufEncoding{type("Q5_1"), "q5_1", "its own", false, holds_kind<Kind::kQ51>, encode_q5_1},
      GgufEncoding{type("Q6_K"), "q6_k", "its own", true, holds_kind<Kind::kQ6K>, encode_q6_k},
      GgufEncoding{type("Q8_0"), "int6 to int8; int5 to int7 :asym; hbfp6, hbfp8, fp6_e2m3, mxint8",
                   kGroups, true, holds_levels<-128, 127>, encode_q8_0},
  };
  return kEncodings;
}

const GgufEncoding& gguf_encoding(const ExportedWeight& weight) {
  const PackedSpec& spec = weight.entry.spec;
  const NumberFormat& format = spec.format;
  const auto levels = GgufLevels::of(format);
  const GgufEncoding* of_codes = nullptr;
  for (const GgufEncoding& encoding : all_gguf_encodings()) {
    if (!encoding.holds(format, levels)) continue;
    of_codes = &encoding;
    if (fills_blocks(spec, encoding.type->elements)) break;
  }
  const auto refuse = [&](const std::string& problem) {
    refuse_weight(weight, kTarget, problem, nearest(weight));
  };
  if (of_codes == nullptr) refuse("is " + format.spelling());
  const int64_t elements = of_codes->type->elements;
  if (spec.cols % elements != 0) {
    refuse_weight(weight, kTarget,
                  fmt::format("has {} inputs, which are no whole number of blocks of {}", spec.cols,
                              elements),
                  spec.cols % kSmallBlock == 0
                      ? nearest(weight)
                      : "the tensor as it is (--skip), in F16, BF16 or F32");
  }
  if (!fills_blocks(spec, elements)) {
    refuse(fmt::format("is {}, whose groups are no whole number of blocks of {}", format.spelling(),
                       elements));
  }
  if (format.scale_storage == ScaleStorage::kF32) {
    refuse(
        fmt::format("is {}, with scales of float32, where float16 is stored", format.spelling()));
  }
  return *of_codes;
}

}  // namespace scant
