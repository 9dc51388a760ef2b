#pragma once

#include <string>

#include "models/model.h"
#include "models/structure.h"

namespace scant {

/// Logits = hidden * weight^T with one row per entry of the vocabulary.
class VocabularyHead : public Head {
 public:
  /// `untied`: what the tensor is called where it is not the embedding's.
  VocabularyHead(std::string tensor, std::string untied, int64_t vocabulary)
      : tensor_(std::move(tensor)), untied_(std::move(untied)), vocabulary_(vocabulary) {}
  int64_t vocabulary() const override { return vocabulary_; }
  Matrix load_slice(const WeightSource& weights, int64_t begin, int64_t count) const override {
    return weights.rows(tensor_, begin, count);
  }
  void describe(ModelStructure& structure) const override {
    structure.head = tensor_;
    structure.untied_head = untied_;
  }

 private:
  std::string tensor_, untied_;
  int64_t vocabulary_;
};

}  // namespace scant
