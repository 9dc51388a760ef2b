#pragma once

#include <string>

#include "models/model.h"
#include "models/structure.h"

namespace scant {

/// Logits = hidden * weight^T with one row per entry of the vocabulary.
class VocabularyHead : public Head {
 public:
  /// `untied`: what the tensor is called where it is not the embedding's.
  VocabularyHead(std::string tensor, std::string untied, int64_t vocabulary, int64_t features)
      : tensor_(std::move(tensor)),
        untied_(std::move(untied)),
        vocabulary_(vocabulary),
        features_(features) {}
  int64_t vocabulary() const override { return vocabulary_; }
  Matrix load_slice(const WeightSource& weights, int64_t begin, int64_t count) const override {
    return weights.rows(tensor_, begin, count);
  }
  LinearInfo linear() const override {
    LinearInfo info;
    info.name = tensor_.substr(0, tensor_.rfind(".weight"));
    info.tensor = tensor_;
    info.kind = info.name.substr(info.name.rfind('.') + 1);
    info.block = -1;
    info.outputs = vocabulary_;
    info.inputs = features_;
    return info;
  }
  void describe(ModelStructure& structure) const override {
    structure.head = tensor_;
    structure.untied_head = untied_;
  }

 private:
  std::string tensor_, untied_;
  int64_t vocabulary_, features_;
};

}  // namespace scant
