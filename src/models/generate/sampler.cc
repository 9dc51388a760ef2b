#include "models/generate/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace scant {
namespace {

struct Candidate {
  int32_t token;
  float logit;
  double probability;
};

void keep_top_k(std::vector<Candidate>& candidates, int64_t k) {
  if (k <= 0 || static_cast<size_t>(k) >= candidates.size()) return;
  std::vector<float> logits;
  logits.reserve(candidates.size());
  for (const Candidate& c : candidates) logits.push_back(c.logit);
  std::nth_element(logits.begin(), logits.begin() + (k - 1), logits.end(), std::greater<>());
  const float lowest = logits[static_cast<size_t>(k - 1)];
  std::erase_if(candidates, [lowest](const Candidate& c) { return c.logit < lowest; });
}

// Probabilities among the candidates.
void normalize(std::vector<Candidate>& candidates) {
  float largest = -INFINITY;
  for (const Candidate& c : candidates) largest = std::max(largest, c.logit);
  double total = 0;
  for (Candidate& c : candidates) {
    c.probability = std::exp(static_cast<double>(c.logit) - static_cast<double>(largest));
    total += c.probability;
  }
  for (Candidate& c : candidates) c.probability /= total;
}

// The cumulative sum starts with the least likely. Tokens below (1 - p) / n sum to less than 1 - p
// and go in any case: only the others need sorting.
void keep_top_p(std::vector<Candidate>& candidates, double p) {
  if (p >= 1) return;
  const double rest = 1 - p;
  const double lowest = rest / static_cast<double>(candidates.size());
  double cumulative = 0;
  std::vector<size_t> order;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].probability < lowest) {
      cumulative += candidates[i].probability;
    } else {
      order.push_back(i);
    }
  }
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    return candidates[a].probability < candidates[b].probability;
  });
  std::vector<bool> kept(candidates.size(), false);
  for (const size_t i : order) {
    cumulative += candidates[i].probability;
    kept[i] = cumulative > rest;
  }
  kept[order.back()] = true;
  std::vector<Candidate> left;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (kept[i]) left.push_back(candidates[i]);
  }
  candidates = std::move(left);
}

void keep_min_p(std::vector<Candidate>& candidates, double min_p) {
  if (min_p <= 0) return;
  double largest = 0;
  for (const Candidate& c : candidates) largest = std::max(largest, c.probability);
  std::erase_if(candidates, [&](const Candidate& c) { return c.probability < min_p * largest; });
}

void check(bool fits, const char* option, double value, const char* expected) {
  if (!fits) throw Error(option, fmt::format("is {}; expected {}", value, expected));
}

}  // namespace

void SamplerOptions::validate() const {
  check(repetition_penalty > 0 && std::isfinite(repetition_penalty), "--repetition-penalty",
        repetition_penalty, "a number above 0");
  check(temperature >= 0 && std::isfinite(temperature), "--temperature", temperature,
        "0 (greedy) or a number above 0");
  check(top_k >= 0, "--top-k", static_cast<double>(top_k), "0 (all) or more");
  check(top_p > 0 && top_p <= 1, "--top-p", top_p, "a number above 0 and up to 1");
  check(min_p >= 0 && min_p <= 1, "--min-p", min_p, "a number from 0 to 1");
}

Sampler::Sampler(const SamplerOptions& options) : options_(options) { options.validate(); }

void Sampler::accept(std::span<const int32_t> tokens) {
  if (options_.repetition_penalty == 1) return;
  for (const int32_t token : tokens) {
    const auto at = std::ranges::lower_bound(seen_, token);
    if (at == seen_.end() || *at != token) seen_.insert(at, token);
  }
}

void Sampler::penalize(std::span<float> logits) const {
  for (const int32_t token : seen_) {
    float& logit = logits[static_cast<size_t>(token)];
    logit = logit < 0 ? logit * options_.repetition_penalty : logit / options_.repetition_penalty;
  }
}

std::vector<TokenProbability> Sampler::distribution(std::span<float> logits) const {
  penalize(logits);
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates.push_back({static_cast<int32_t>(i), logits[i] / options_.temperature, 0});
  }
  keep_top_k(candidates, options_.top_k);
  normalize(candidates);
  keep_top_p(candidates, options_.top_p);
  normalize(candidates);
  keep_min_p(candidates, options_.min_p);
  normalize(candidates);
  std::vector<TokenProbability> result;
  result.reserve(candidates.size());
  for (const Candidate& c : candidates) {
    result.push_back({c.token, static_cast<float>(c.probability)});
  }
  return result;
}

int32_t Sampler::choose(std::span<float> logits) {
  const uint64_t choice = choices_++;
  if (options_.temperature == 0) {
    penalize(logits);
    return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
  }
  const std::vector<TokenProbability> candidates = distribution(logits);
  constexpr uint64_t kStream = 0x73616d706c6572;  // "sampler"
  const double at = static_cast<double>(CounterRandom(options_.seed, kStream).uniform(choice));
  double cumulative = 0;
  for (const TokenProbability& c : candidates) {
    cumulative += static_cast<double>(c.probability);
    if (at < cumulative) return c.token;
  }
  return candidates.back().token;
}

}  // namespace scant
