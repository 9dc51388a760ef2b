#include "kernels/cached_attention/cached_attention.h"

#include <algorithm>
#include <cmath>

#include "core/dtype.h"
#include "core/error.h"
#include "kernels/testing_isa.h"

namespace scant {
namespace {

class CachedAttentionKernels : public PerIsa {};

/// Keys and values as a cache holds them, and what it gives back.
struct Cache {
  KvPageLayout layout;
  std::vector<Buffer> memory;
  std::vector<std::byte*> pages;
  Matrix k, v;  ///< the values stored, widened

  Cache(KvType type, const AttentionShape& s, int64_t positions)
      : layout{type, s.kv_heads, s.head_dim},
        k(random_values(positions, s.kv_heads * s.head_dim, 5)),
        v(random_values(positions, s.kv_heads * s.head_dim, 6, 2.0f)) {
    for (int64_t p = 0; p < positions; ++p) {
      if (p % kKvPage == 0) {
        memory.emplace_back(static_cast<size_t>(layout.bytes()));
        std::fill_n(memory.back().data(), layout.bytes(), std::byte{0xff});  // NaN where unwritten
        pages.push_back(memory.back().data());
      }
      layout.store(pages.back(), p % kKvPage, k.row(p), v.row(p));
    }
    for (int64_t p = 0; p < positions; ++p) {
      for (int64_t h = 0; h < s.kv_heads; ++h) {
        round(k.row(p) + h * s.head_dim);
        round(v.row(p) + h * s.head_dim);
      }
    }
  }

  void round(float* x) const {
    float largest = 0;
    for (int64_t i = 0; i < layout.head_dim; ++i) largest = std::max(largest, std::abs(x[i]));
    for (int64_t i = 0; i < layout.head_dim; ++i) {
      if (layout.type == KvType::kBf16) x[i] = bf16_to_f32(f32_to_bf16(x[i]));
      if (layout.type == KvType::kInt8) {
        x[i] = std::nearbyint(x[i] * (127 / largest)) * (largest / 127);
      }
    }
  }
  KvPages view() const { return {layout, pages, k.rows()}; }
};

std::vector<double> expected_row(const AttentionShape& s, const Cache& cache, const float* q,
                                 int64_t position, int64_t head) {
  const int64_t kv = head / (s.heads / s.kv_heads) * s.head_dim;
  const int64_t first = s.window > 0 ? std::max<int64_t>(0, position - s.window + 1) : 0;
  std::vector<double> scores;
  for (int64_t j = first; j <= position; ++j) {
    double score = 0;
    for (int64_t i = 0; i < s.head_dim; ++i) score += double{q[i]} * cache.k(j, kv + i);
    scores.push_back(s.scale * score);
  }
  const double max = *std::ranges::max_element(scores);
  double total = 0;
  for (double& score : scores) total += score = std::exp(score - max);
  std::vector<double> out(static_cast<size_t>(s.head_dim));
  for (int64_t j = first; j <= position; ++j) {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] +=
          scores[static_cast<size_t>(j - first)] / total * cache.v(j, kv + static_cast<int64_t>(i));
    }
  }
  return out;
}

Matrix run(const AttentionShape& s, const Cache& cache, const Matrix& q, int threads) {
  Matrix out(q.rows(), q.cols());
  std::vector<float> scratch(
      static_cast<size_t>(cached_attention_scratch_size(s, q.rows(), cache.k.rows())), NAN);
  ThreadPool pool(threads);
  cached_attention(s, cache.view(), q.view(), out.view(), scratch, &pool);
  return out;
}

void check(KvType type, const AttentionShape& s, int64_t positions, int64_t tokens) {
  const Cache cache(type, s, positions);
  const Matrix q = random_values(tokens, s.heads * s.head_dim, 3);
  const Matrix out = run(s, cache, q, 1);
  const double tolerance = 2e-7 * static_cast<double>(40 + s.head_dim);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const std::vector<double> expected =
          expected_row(s, cache, q.row(t) + h * s.head_dim, positions - tokens + t, h);
      for (int64_t i = 0; i < s.head_dim; ++i) {
        ASSERT_NEAR(out(t, h * s.head_dim + i), expected[static_cast<size_t>(i)], tolerance)
            << kv_type_name(type) << ", " << positions << " positions, head_dim " << s.head_dim
            << ", window " << s.window << ", token " << t << ", head " << h;
      }
    }
  }
}

constexpr KvType kTypes[] = {KvType::kF32, KvType::kBf16, KvType::kInt8};

TEST_P(CachedAttentionKernels, AgreeWithDoublePrecisionOnRaggedShapes) {
  EXPECT_TRUE(is_forced(cached_attention_kernel())) << cached_attention_kernel();
  for (const KvType type : kTypes) {
    for (const int64_t positions : {1, 2, 17, 127, 128, 129, 300}) {
      for (const int64_t head_dim : {1, 12, 16, 32, 64, 80}) {
        check(type, {.heads = 2, .kv_heads = 2, .head_dim = head_dim, .scale = 0.3f}, positions, 1);
      }
    }
  }
}

TEST_P(CachedAttentionKernels, TakeSeveralQueriesAndShareKeysBetweenHeads) {
  for (const KvType type : kTypes) {
    for (const int64_t group : {1, 2, 3, 4, 5, 8}) {
      check(type, {.heads = 2 * group, .kv_heads = 2, .head_dim = 20, .scale = 0.25f}, 140, 3);
    }
    check(type, {.heads = 3, .kv_heads = 1, .head_dim = 16, .scale = 0.25f}, 150, 21);
    check(type, {.heads = 3, .kv_heads = 1, .head_dim = 16, .scale = 0.25f}, 9, 9);
  }
}

TEST_P(CachedAttentionKernels, SeeOnlyTheSlidingWindow) {
  for (const KvType type : kTypes) {
    for (const int64_t window : {1, 3, 128, 129, 200, 300}) {
      const AttentionShape s = {
          .heads = 2, .kv_heads = 1, .head_dim = 8, .window = window, .scale = 0.5f};
      check(type, s, 290, 1);
      check(type, s, 290, 19);
    }
  }
}

TEST_P(CachedAttentionKernels, GiveTheSameBitsForAnyNumberOfThreads) {
  const AttentionShape s = {.heads = 6, .kv_heads = 3, .head_dim = 24, .scale = 0.3f};
  const Cache cache(KvType::kInt8, s, 400);
  const Matrix q = random_values(10, s.heads * s.head_dim, 3);
  const Matrix one = run(s, cache, q, 1);
  const Matrix three = run(s, cache, q, 3);
  for (int64_t i = 0; i < one.size(); ++i) ASSERT_EQ(one.data()[i], three.data()[i]);
}

TEST_P(CachedAttentionKernels, AreExactForScoresFarApart) {
  const AttentionShape s = {.heads = 1, .kv_heads = 1, .head_dim = 1, .scale = 1000.0f};
  Cache cache(KvType::kF32, s, 200);
  for (int64_t p = 0; p < 200; ++p) {
    const float key = static_cast<float>(-p);
    const float value = static_cast<float>(10 + p);
    cache.layout.store(cache.pages[static_cast<size_t>(p / kKvPage)], p % kKvPage, &key, &value);
  }
  Matrix q(1, 1);
  q(0, 0) = 1;
  EXPECT_EQ(run(s, cache, q, 1)(0, 0), 10.0f);
}

SCANT_FOR_EVERY_ISA(CachedAttentionKernels);

TEST(KvPage, ZerosStayZeroAndInt8TakesAQuarter) {
  const KvPageLayout int8 = {KvType::kInt8, 1, 64};
  const KvPageLayout f32 = {KvType::kF32, 1, 64};
  EXPECT_EQ(f32.bytes(), 2 * kKvPage * 256);
  EXPECT_EQ(int8.bytes(), 2 * kKvPage * (64 + 4));
  Buffer page(static_cast<size_t>(int8.bytes()));
  const std::vector<float> zeros(64, 0.0f);
  int8.store(page.data(), 5, zeros.data(), zeros.data());
  EXPECT_EQ(int8.head(page.data(), 0).key_scales[5], 0.0f);
  EXPECT_EQ(int8.head(page.data(), 0).values[5 * 64 + 63], std::byte{0});
}

TEST(KvPage, TypesAreSpelled) {
  for (const KvType type : kTypes) EXPECT_EQ(parse_kv_type(kv_type_name(type)), type);
  EXPECT_THROW(parse_kv_type("fp8"), Error);
}

}  // namespace
}  // namespace scant
