#include "kernels/cached_attention/cached_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "kernels/cached_attention/rows.h"
#include "kernels/select.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<CachedAttentionRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512, &kCachedAttentionAvx512}, {Isa::kAvx2, &kCachedAttentionAvx2},
#endif
      {Isa::kPortable, &kCachedAttentionReference},
});

constexpr int64_t kTokens = 8;  ///< tokens whose pages' sums are in memory at a time

int64_t page_count(int64_t positions) { return (positions + kKvPage - 1) / kKvPage; }

int64_t padded(int64_t head_dim) { return KvPageLayout{.head_dim = head_dim}.width(); }

/// The parts of the scratch memory, for up to kTokens tokens.
class Scratch {
 public:
  Scratch(const AttentionShape& shape, int64_t tokens, int64_t positions, float* memory)
      : heads_(shape.heads), width_(padded(shape.head_dim)), rows_(tokens * shape.heads) {
    const int64_t pages = page_count(positions);
    queries = take(memory, rows_ * width_);
    sums_ = take(memory, pages * rows_ * width_);
    max_ = take(memory, pages * rows_);
    total_ = take(memory, pages * rows_);
    scores_ = take(memory, pages * shape.heads * kKvPage);
    size = memory == nullptr ? used_ : 0;
  }

  // `row` = token * heads + head
  float* sum(int64_t page, int64_t row) const { return sums_ + (page * rows_ + row) * width_; }
  float& max(int64_t page, int64_t row) const { return max_[page * rows_ + row]; }
  float& total(int64_t page, int64_t row) const { return total_[page * rows_ + row]; }
  float* scores(int64_t page, int64_t head) const {
    return scores_ + (page * heads_ + head) * kKvPage;
  }

  float* queries;  ///< rows x width
  int64_t size;

 private:
  float* take(float* memory, int64_t count) {
    float* const at = memory == nullptr ? nullptr : memory + used_;
    used_ += count;
    return at;
  }
  int64_t heads_, width_, rows_;
  int64_t used_ = 0;
  float *sums_, *max_, *total_, *scores_;
};

/// Up to kTokens queries, the first at position `position`.
struct Block {
  const AttentionShape& shape;
  const KvPages& cache;
  const Scratch& scratch;
  int64_t position;
  int64_t tokens;

  int64_t first_key(int64_t t) const {
    return shape.window > 0 ? std::max<int64_t>(0, position + t - shape.window + 1) : 0;
  }

  void load_queries(ConstMatrixView q) const {
    const int64_t width = cache.layout.width();
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        float* to = scratch.queries + (t * shape.heads + h) * width;
        const float* from = q.row(t) + h * shape.head_dim;
        for (int64_t i = 0; i < shape.head_dim; ++i) to[i] = shape.scale * from[i];
        std::fill(to + shape.head_dim, to + width, 0.0f);
      }
    }
  }

  void attend_page(int64_t page, int64_t kv_head) const {
    const KvPageLayout& layout = cache.layout;
    const KvPageLayout::Head parts = layout.head(cache.pages[static_cast<size_t>(page)], kv_head);
    const int64_t group = shape.heads / shape.kv_heads;
    const CachedAttentionRow& kernel = select_kernel(kTable);
    const auto run = layout.type == KvType::kF32    ? kernel.f32
                     : layout.type == KvType::kBf16 ? kernel.bf16
                                                    : kernel.int8;
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t row = t * shape.heads + kv_head * group;
      const int64_t begin = std::max<int64_t>(0, first_key(t) - page * kKvPage);
      const int64_t end = std::min(kKvPage, position + t + 1 - page * kKvPage);
      if (begin >= end) {
        for (int64_t r = row; r < row + group; ++r) scratch.max(page, r) = -INFINITY;
        continue;
      }
      run({.q = scratch.queries + row * layout.width(),
           .queries = group,
           .width = layout.width(),
           .keys = parts.keys,
           .values = parts.values,
           .key_scales = parts.key_scales,
           .value_scales = parts.value_scales,
           .begin = begin,
           .end = end,
           .scores = scratch.scores(page, kv_head * group),
           .score_stride = kKvPage,
           .out = scratch.sum(page, row),
           .max = &scratch.max(page, row),
           .sum = &scratch.total(page, row)});
    }
  }

  // softmax over all keys from the pages' own sums: each is scaled by e^(its max - the largest).
  void add_pages(int64_t first_page, int64_t end_page, int64_t row, float* out) const {
    float largest = -INFINITY;
    for (int64_t page = first_page; page < end_page; ++page) {
      largest = std::max(largest, scratch.max(page, row));
    }
    float total = 0;
    std::fill_n(out, shape.head_dim, 0.0f);
    for (int64_t page = first_page; page < end_page; ++page) {
      if (scratch.max(page, row) == -INFINITY) continue;
      const float scale = std::exp(scratch.max(page, row) - largest);
      total += scale * scratch.total(page, row);
      const float* sum = scratch.sum(page, row);
      for (int64_t i = 0; i < shape.head_dim; ++i) out[i] += scale * sum[i];
    }
    for (int64_t i = 0; i < shape.head_dim; ++i) out[i] /= total;
  }
};

}  // namespace

std::string_view cached_attention_kernel() { return select_kernel(kTable).name; }

int64_t cached_attention_scratch_size(const AttentionShape& shape, int64_t tokens,
                                      int64_t positions) {
  return Scratch(shape, std::min(tokens, kTokens), positions, nullptr).size;
}

void cached_attention(const AttentionShape& shape, const KvPages& cache, ConstMatrixView q,
                      MatrixView out, std::span<float> scratch, ThreadPool* threads) {
  const Scratch parts(shape, std::min(q.rows, kTokens), cache.positions, scratch.data());
  for (int64_t done = 0; done < q.rows; done += kTokens) {
    const int64_t count = std::min(kTokens, q.rows - done);
    const Block block = {shape, cache, parts, cache.positions - q.rows + done, count};
    block.load_queries(q.rows_from(done, count));
    const int64_t first_page = block.first_key(0) / kKvPage;
    const int64_t end_page = page_count(block.position + count);
    const auto piece = [&](int64_t i) {
      block.attend_page(first_page + i / shape.kv_heads, i % shape.kv_heads);
    };
    const int64_t pieces = (end_page - first_page) * shape.kv_heads;
    if (threads != nullptr) {
      threads->parallel_for(pieces, piece);
    } else {
      for (int64_t i = 0; i < pieces; ++i) piece(i);
    }
    for (int64_t row = 0; row < count * shape.heads; ++row) {
      float* to = out.row(done + row / shape.heads) + row % shape.heads * shape.head_dim;
      block.add_pages(first_page, end_page, row, to);
    }
  }
}

}  // namespace scant
