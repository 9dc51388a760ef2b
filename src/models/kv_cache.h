#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/tensor.h"
#include "kernels/cached_attention/cached_attention.h"

namespace scant {

/// Keys and values of one attention layer for the positions seen so far. Grows by pages, which stay
/// where they are.
class KvLayer {
 public:
  explicit KvLayer(KvPageLayout layout) : layout_(layout) {}
  int64_t positions() const { return positions_; }
  /// One row per token, kv_heads * head_dim values.
  void append(ConstMatrixView k, ConstMatrixView v);
  KvPages view() const { return {layout_, pages_, positions_}; }
  int64_t bytes() const { return static_cast<int64_t>(pages_.size()) * layout_.bytes(); }

 private:
  KvPageLayout layout_;
  std::vector<Buffer> memory_;
  std::vector<std::byte*> pages_;
  int64_t positions_ = 0;
};

/// What the attention layers of a model remember of one text.
class KvCache {
 public:
  /// Room for `capacity` positions; memory is taken as they come.
  KvCache(KvType type, int64_t capacity) : type_(type), capacity_(capacity) {}

  KvType type() const { return type_; }
  int64_t capacity() const { return capacity_; }
  /// Positions that all layers hold between two runs.
  int64_t positions() const { return layers_.empty() ? 0 : layers_.begin()->second.positions(); }
  int64_t bytes() const;
  /// The layer of the block at depth `block`, made at its first use.
  KvLayer& layer(int64_t block, int64_t kv_heads, int64_t head_dim);

 private:
  KvType type_;
  int64_t capacity_;
  std::map<int64_t, KvLayer> layers_;
};

}  // namespace scant
