#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/blocks/decoder_block.h"
#include "models/blocks/embedding.h"
#include "models/blocks/norm.h"
#include "models/linear.h"

namespace scant {

/// A norm and the linear layers that read its output; nothing else reads it.
struct NormReaders {
  NormSpec norm;
  std::vector<LinearInfo> readers;
};

/// Outputs of one layer that reach the inputs of another one so that a factor > 0 on an output is
/// the same factor on the inputs that it reaches: values through attention, a gated product, ReLU.
struct LayerFeed {
  LinearInfo from;
  int64_t first = 0;  ///< the first of these outputs
  int64_t count = 0;  ///< how many
  LinearInfo into;
  int64_t head_dim = 0;  ///< outputs that stay together
  int64_t repeats = 1;   ///< heads of inputs that one head of outputs reaches

  /// The output that input `i` of `into` comes from, counted from `first`.
  int64_t output_of(int64_t i) const { return i / (head_dim * repeats) * head_dim + i % head_dim; }
};

/// What a stage computes.
using StageSpec = std::variant<EmbeddingSpec, DecoderBlockSpec, FinalNormSpec>;

/// How the tensors of a model are connected along its residual stream: what may be folded into what
/// without changing what the model computes.
struct ModelStructure {
  std::vector<StageSpec> stages;        ///< in their order, each with all that it computes
  std::vector<std::string> embeddings;  ///< tensors whose rows are added to the stream
  std::vector<NormReaders> norms;       ///< of the blocks
  std::vector<LinearInfo> writers;      ///< layers whose outputs are added to the stream
  std::vector<LayerFeed> feeds;
  std::vector<LinearInfo> downs;  ///< the last layers of the feed-forwards
  std::optional<NormSpec> final_norm;
  std::string head;         ///< tensor, vocabulary x hidden; the embedding if they are tied
  std::string untied_head;  ///< what the head's own tensor is called
  /// What keeps norms from being folded into their readers: "blocks have their norms last".
  std::vector<std::string> obstacles;
};

}  // namespace scant
