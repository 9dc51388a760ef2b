#pragma once

#include <string>

#include "models/model.h"

namespace scant {

/// Logits = hidden * weight^T with one row per entry of the vocabulary.
class VocabularyHead : public Head {
 public:
  VocabularyHead(std::string tensor, int64_t vocabulary)
      : tensor_(std::move(tensor)), vocabulary_(vocabulary) {}
  int64_t vocabulary() const override { return vocabulary_; }
  Matrix load_slice(const WeightSource& weights, int64_t begin, int64_t count) const override {
    return weights.rows(tensor_, begin, count);
  }

 private:
  std::string tensor_;
  int64_t vocabulary_;
};

}  // namespace scant
