#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/blocks/norm.h"
#include "models/blocks/pass.h"
#include "models/model.h"

namespace scant {

/// The first stage: rows of the token table, projected to the hidden size if they are narrower,
/// plus rows of a position table.
struct EmbeddingSpec {
  std::string tokens;  ///< tensor, vocabulary x width
  int64_t vocabulary = 0;
  int64_t width = 0;
  std::optional<LinearInfo> projection;
  std::string positions;        ///< tensor, rows x hidden; empty: positions enter elsewhere
  int64_t position_rows = 0;    ///< of the table
  int64_t position_offset = 0;  ///< position p is row p + offset
};

class Embedding : public Stage {
 public:
  explicit Embedding(EmbeddingSpec spec) : spec_(std::move(spec)) {}
  const std::string& name() const override { return name_; }
  const std::vector<LinearInfo>& linears() const override { return linears_; }
  std::unique_ptr<LoadedStage> load(const WeightSource& weights) const override;
  void describe(ModelStructure& structure) const override;

 private:
  EmbeddingSpec spec_;
  std::string name_ = "embed";
  std::vector<LinearInfo> linears_;
};

/// The last stage: a norm, and a projection to the width of the head if it is narrower.
struct FinalNormSpec {
  std::optional<NormSpec> norm;
  std::optional<LinearInfo> projection;
};

class FinalNorm : public Stage {
 public:
  explicit FinalNorm(FinalNormSpec spec) : spec_(std::move(spec)) {}
  const std::string& name() const override { return name_; }
  const std::vector<LinearInfo>& linears() const override { return linears_; }
  std::unique_ptr<LoadedStage> load(const WeightSource& weights) const override;
  void describe(ModelStructure& structure) const override;

 private:
  FinalNormSpec spec_;
  std::string name_ = "final norm";
  std::vector<LinearInfo> linears_;
};

}  // namespace scant
