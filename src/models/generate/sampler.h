#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace scant {

/// How the next token is chosen from logits, with the definitions and in the order of
/// transformers' logits processors.
struct SamplerOptions {
  /// Logits of tokens that occurred are divided by it where positive and multiplied where negative
  /// (Keskar et al., arXiv 1909.05858). 1: off.
  float repetition_penalty = 1;
  /// Logits are divided by it. 0: the token of the largest logit, the first of equals; what follows
  /// is not used then.
  float temperature = 0;
  int64_t top_k = 0;  ///< keep logits not below the k-th largest; 0: all
  /// Keep the fewest tokens, likeliest first, whose probabilities sum to at least this much
  /// (Holtzman et al., arXiv 1904.09751): in increasing order, those whose cumulative probability
  /// is at most 1 - top_p go. 1: all.
  float top_p = 1;
  float min_p = 0;  ///< keep probabilities of at least min_p times the largest (arXiv 2407.01082)
  uint64_t seed = 0;

  /// Throws Error naming the option that is out of range.
  void validate() const;
};

/// A token that may be chosen.
struct TokenProbability {
  int32_t token;
  float probability;
};

/// Chooses tokens. The n-th choice is a function of seed, n and the logits alone.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options);
  /// The tokens so far, prompt included: what the repetition penalty sees.
  void accept(std::span<const int32_t> tokens);
  /// `logits`, one per token of the vocabulary, are changed. Does not accept the token chosen.
  int32_t choose(std::span<float> logits);
  /// What choose() draws from, in the order of tokens; probabilities sum to 1. Temperature > 0.
  std::vector<TokenProbability> distribution(std::span<float> logits) const;

 private:
  void penalize(std::span<float> logits) const;

  SamplerOptions options_;
  std::vector<int32_t> seen_;  ///< sorted, each once
  uint64_t choices_ = 0;
};

}  // namespace scant
