#pragma once

#include <map>
#include <string>
#include <vector>

#include "compress/export/onnx/onnx_graph.h"
#include "compress/export/onnx/onnx_weights.h"
#include "models/blocks/attention.h"

namespace scant {

/// Attention of all blocks, with what they share: sizes, masks, rotations of positions.
class OnnxAttention {
 public:
  OnnxAttention(OnnxGraph& graph, OnnxWeights& weights) : graph_(graph), weights_(weights) {}

  /// The model's inputs but for the caches.
  void add_inputs();
  /// attention(x) of block `index`, tokens x features, with its cache as inputs and outputs.
  std::string add(const AttentionSpec& spec, int64_t index, const std::string& x);
  /// The outputs that were made: kept back until the logits are named.
  void add_outputs();

  /// x, tokens x (product of `rest`), as batch x sequence x `rest`.
  std::string by_sequence(const std::string& x, const std::vector<int64_t>& rest);

 private:
  struct Heads {
    std::string q, k, v;  ///< batch x heads x sequence x head_dim
  };
  Heads projected(const AttentionSpec& spec, const std::string& x, const std::string& scope);
  std::string placed(const AttentionSpec& spec, const std::optional<NormSpec>& norm,
                     const std::string& x, int64_t heads, const std::string& scope);
  std::string rotated(const Rotary& rotary, const std::string& x);
  std::string with_past(int64_t index, const std::string& part, const AttentionShape& shape,
                        const std::string& now);
  std::string attended(const AttentionShape& shape, const std::string& q, const std::string& k,
                       const std::string& v, const std::string& scope);
  /// Which keys a token sees, batch x 1 x sequence x keys.
  std::string mask(int64_t window);

  struct Turn {
    std::string cosine, sine;  ///< batch x 1 x sequence x head_dim / 2
  };

  OnnxGraph& graph_;
  OnnxWeights& weights_;
  std::string batch_and_sequence_, sequence_, keys_;  ///< sizes, of one dimension
  std::map<int64_t, std::string> masks_;              ///< by window
  std::map<const Rotary*, Turn> turns_;
  std::vector<std::pair<std::string, std::vector<OnnxDimension>>> outputs_;
};

}  // namespace scant
