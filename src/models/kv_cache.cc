#include "models/kv_cache.h"

namespace scant {

void KvLayer::append(ConstMatrixView k, ConstMatrixView v) {
  for (int64_t t = 0; t < k.rows; ++t, ++positions_) {
    if (positions_ % kKvPage == 0) {
      memory_.emplace_back(static_cast<size_t>(layout_.bytes()));
      pages_.push_back(memory_.back().data());
    }
    layout_.store(pages_.back(), positions_ % kKvPage, k.row(t), v.row(t));
  }
}

int64_t KvCache::bytes() const {
  int64_t sum = 0;
  for (const auto& [block, layer] : layers_) sum += layer.bytes();
  return sum;
}

KvLayer& KvCache::layer(int64_t block, int64_t kv_heads, int64_t head_dim) {
  const KvPageLayout layout = {type_, kv_heads, head_dim};
  return layers_.try_emplace(block, layout).first->second;
}

}  // namespace scant
