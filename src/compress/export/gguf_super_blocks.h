#pragma once

#include <cstddef>
#include <cstdint>

#include "compress/export/gguf_types.h"

// Block types of GGUF whose scales are integers under float16, or that have offsets. The layouts
// are drawn in checkpoint/gguf_blocks.cc; the values are those of the element of the same name.
namespace scant {

void encode_q4_1(const GgufRow& row, int64_t column, std::byte* block);
void encode_q5_1(const GgufRow& row, int64_t column, std::byte* block);
void encode_q2_k(const GgufRow& row, int64_t column, std::byte* block);
void encode_q3_k(const GgufRow& row, int64_t column, std::byte* block);
void encode_q4_k(const GgufRow& row, int64_t column, std::byte* block);
void encode_q5_k(const GgufRow& row, int64_t column, std::byte* block);
void encode_q6_k(const GgufRow& row, int64_t column, std::byte* block);

}  // namespace scant
