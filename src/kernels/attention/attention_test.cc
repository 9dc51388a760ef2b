#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/testing_isa.h"

namespace scant {
namespace {

class AttentionKernels : public PerIsa {};

struct Inputs {
  Matrix qkv;
  MatrixView q, k, v;

  Inputs(const AttentionShape& s, int64_t tokens) {
    const int64_t width = s.heads * s.head_dim;
    const int64_t kv_width = s.kv_heads * s.head_dim;
    qkv = random_values(tokens, width + 2 * kv_width, 3);
    q = qkv.view().cols_from(0, width);
    k = qkv.view().cols_from(width, kv_width);
    v = qkv.view().cols_from(width + kv_width, kv_width);
  }
};

std::vector<double> expected_row(const AttentionShape& s, const Inputs& in, int64_t t, int64_t h) {
  const int64_t kv = h / (s.heads / s.kv_heads) * s.head_dim;
  const int64_t first = s.window > 0 ? std::max<int64_t>(0, t - s.window + 1) : 0;
  std::vector<double> weights;
  double total = 0;
  for (int64_t j = first; j <= t; ++j) {
    double score = 0;
    for (int64_t i = 0; i < s.head_dim; ++i) {
      score += static_cast<double>(in.q(t, h * s.head_dim + i)) * in.k(j, kv + i);
    }
    weights.push_back(std::exp(s.scale * score));
    total += weights.back();
  }
  std::vector<double> out(static_cast<size_t>(s.head_dim));
  for (int64_t j = first; j <= t; ++j) {
    for (int64_t i = 0; i < s.head_dim; ++i) {
      out[static_cast<size_t>(i)] +=
          weights[static_cast<size_t>(j - first)] / total * in.v(j, kv + i);
    }
  }
  return out;
}

void check(const AttentionShape& s, int64_t tokens) {
  Inputs in(s, tokens);
  Matrix out(tokens, s.heads * s.head_dim);
  std::vector<float> scratch(static_cast<size_t>(attention_scratch_size(tokens, s.head_dim)), NAN);
  attention(s, in.q, in.k, in.v, out.view(), scratch);
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const std::vector<double> expected = expected_row(s, in, t, h);
      const double tolerance = 6e-8 * static_cast<double>(40 + s.head_dim);  // of the scores
      for (int64_t i = 0; i < s.head_dim; ++i) {
        ASSERT_NEAR(out(t, h * s.head_dim + i), expected[static_cast<size_t>(i)], tolerance)
            << "tokens " << tokens << ", head_dim " << s.head_dim << ", window " << s.window
            << ", token " << t << ", head " << h;
      }
    }
  }
}

TEST_P(AttentionKernels, AgreeWithDoublePrecisionOnRaggedShapes) {
  EXPECT_TRUE(is_forced(attention_kernel())) << attention_kernel();
  for (const int64_t tokens : {1, 5, 6, 7, 16, 17, 33, 70}) {
    for (const int64_t head_dim : {1, 8, 20, 32, 64, 80}) {
      check({.heads = 2, .kv_heads = 2, .head_dim = head_dim, .scale = 0.3f}, tokens);
    }
  }
}

TEST_P(AttentionKernels, ShareKeysBetweenRunsOfQueryHeads) {
  check({.heads = 6, .kv_heads = 2, .head_dim = 16, .scale = 0.25f}, 40);
  check({.heads = 4, .kv_heads = 1, .head_dim = 12, .scale = 0.25f}, 23);
}

TEST_P(AttentionKernels, SeeOnlyTheSlidingWindow) {
  for (const int64_t window : {1, 3, 6, 7, 20, 50, 51}) {
    check({.heads = 2, .kv_heads = 1, .head_dim = 8, .window = window, .scale = 0.5f}, 50);
  }
}

TEST_P(AttentionKernels, AreExactForScoresFarApart) {
  const AttentionShape shape = {.heads = 1, .kv_heads = 1, .head_dim = 1, .scale = 1000.0f};
  Matrix q(3, 1), k(3, 1), v(3, 1), out(3, 1);
  for (int64_t t = 0; t < 3; ++t) {
    q(t, 0) = 1;
    k(t, 0) = static_cast<float>(-t);
    v(t, 0) = static_cast<float>(10 + t);
  }
  std::vector<float> scratch(static_cast<size_t>(attention_scratch_size(3, 1)));
  attention(shape, q.view(), k.view(), v.view(), out.view(), scratch);
  for (int64_t t = 0; t < 3; ++t) EXPECT_EQ(out(t, 0), 10.0f);
}

TEST_P(AttentionKernels, MayOverwriteTheQueries) {
  const AttentionShape shape = {.heads = 4, .kv_heads = 2, .head_dim = 8, .scale = 0.3f};
  Inputs in(shape, 20);
  Matrix apart(20, 32);
  std::vector<float> scratch(static_cast<size_t>(attention_scratch_size(20, 8)));
  attention(shape, in.q, in.k, in.v, apart.view(), scratch);
  attention(shape, in.q, in.k, in.v, in.q, scratch);
  for (int64_t t = 0; t < 20; ++t) {
    for (int64_t c = 0; c < 32; ++c) EXPECT_EQ(in.q(t, c), apart(t, c));
  }
}

SCANT_FOR_EVERY_ISA(AttentionKernels);

}  // namespace
}  // namespace scant
