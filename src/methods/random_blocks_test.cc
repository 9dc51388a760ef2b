#include "methods/random_blocks_test.h"

#include <cmath>

#include "core/dtype.h"
#include "core/random.h"
#include "ops/gemm.h"

namespace scant {
namespace {

float of_kind(int64_t kind, const CounterRandom& random, uint64_t at) {
  const float normal = random.normal(at);
  const auto integer = static_cast<float>(random.below(at, 13)) - 6.0f;
  switch (kind) {
    case 0:
      return normal;
    case 1:
      return integer;
    case 2:
      return integer / 2;
    case 3:
      return random.below(at, 8) == 0 ? std::copysign(3.5f, normal) : std::fmod(normal, 3.5f);
    case 4:
      return random.below(at, 16) == 0 ? std::copysign(4.0f, normal) : std::fmod(normal, 4.0f);
    case 5:
      return random.below(at, 4) == 0 ? normal : 0.0f;
    case 6:
      return normal * normal * normal;
    default:
      return std::copysign(0.75f, normal);
  }
}

}  // namespace

Matrix random_blocks(int64_t rows, int64_t cols, uint64_t stream) {
  Matrix matrix(rows, cols);
  const CounterRandom random(2024, stream);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const float value = of_kind(r % kBlockKinds, random, static_cast<uint64_t>(r * cols + c));
      matrix(r, c) = bf16_to_f32(f32_to_bf16(value));
    }
  }
  return matrix;
}

Matrix rows_of_unequal_scale(int64_t rows, int64_t cols, float ratio, uint64_t stream) {
  Matrix matrix(rows, cols);
  const CounterRandom random(2025, stream);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      matrix(r, c) = std::pow(ratio, static_cast<float>(r)) *
                     random.normal(static_cast<uint64_t>(r * cols + c));
    }
  }
  return matrix;
}

Matrix random_gram(int64_t features, int64_t tokens, uint64_t stream) {
  Matrix x(tokens, features);
  const CounterRandom random(2026, stream);
  for (int64_t t = 0; t < tokens; ++t) {
    const auto at = static_cast<uint64_t>(t * (features + 1));
    const float shared = random.normal(at);
    for (int64_t c = 0; c < features; ++c) {
      const float size = c % 7 == 3 ? 0.0f : std::exp(std::sin(static_cast<float>(c)));
      x(t, c) = size * (shared + random.normal(at + 1 + static_cast<uint64_t>(c)));
    }
  }
  Matrix gram(features, features);
  gemm(x.view(), x.view(), gram.view(), {.a = Transpose::kYes});
  return gram;
}

}  // namespace scant
