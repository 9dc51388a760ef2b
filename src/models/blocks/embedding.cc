#include "models/blocks/embedding.h"

#include <fmt/format.h>

#include <cstring>

#include "core/error.h"
#include "models/structure.h"

namespace scant {
namespace {

std::optional<LinearLayer> load_linear(const std::optional<LinearInfo>& info,
                                       const WeightSource& weights) {
  if (!info) return std::nullopt;
  return weights.linear(*info);
}

class LoadedEmbedding : public LoadedStage {
 public:
  LoadedEmbedding(EmbeddingSpec spec, const WeightSource& weights)
      : spec_(std::move(spec)),
        weights_(weights),
        projection_(load_linear(spec_.projection, weights)) {}

  void run(State& state, int64_t /*sample*/, Tap* /*tap*/) const override {
    Matrix hidden = look_up(state.tokens);
    if (projection_) {
      Matrix projected(hidden.rows(), projection_->info.outputs);
      linear(*projection_, hidden.view(), projected.view(), LinearOutput::kAssign, state.threads);
      hidden = std::move(projected);
    }
    if (!spec_.positions.empty()) add_positions(state, hidden);
    state.hidden = std::move(hidden);
  }

 private:
  // One row at a time: a whole table would be the largest matrix in memory.
  Matrix look_up(const std::vector<int32_t>& tokens) const {
    Matrix rows(static_cast<int64_t>(tokens.size()), spec_.width);
    for (int64_t t = 0; t < rows.rows(); ++t) {
      const int32_t token = tokens[static_cast<size_t>(t)];
      if (token < 0 || token >= spec_.vocabulary) {
        throw Error("tokens", fmt::format("id {} is not in the model's vocabulary of {}", token,
                                          spec_.vocabulary));
      }
      const Matrix row = weights_.rows(spec_.tokens, token, 1);
      std::memcpy(rows.row(t), row.data(), row.values().size_bytes());
    }
    return rows;
  }

  void add_positions(const State& state, Matrix& hidden) const {
    const int64_t first = state.first_position + spec_.position_offset;
    if (first + hidden.rows() > spec_.position_rows) {
      throw Error("tokens", fmt::format("{} positions are more than the model's {}",
                                        state.first_position + hidden.rows(),
                                        spec_.position_rows - spec_.position_offset));
    }
    const Matrix positions = weights_.rows(spec_.positions, first, hidden.rows());
    for (int64_t i = 0; i < hidden.size(); ++i) hidden.data()[i] += positions.data()[i];
  }

  EmbeddingSpec spec_;
  const WeightSource& weights_;
  std::optional<LinearLayer> projection_;
};

class LoadedFinalNorm : public LoadedStage {
 public:
  LoadedFinalNorm(const FinalNormSpec& spec, const WeightSource& weights)
      : projection_(load_linear(spec.projection, weights)) {
    if (spec.norm) norm_.emplace(*spec.norm, weights);
  }

  void run(State& state, int64_t /*sample*/, Tap* /*tap*/) const override {
    const MatrixView x = state.hidden.view();
    if (norm_) norm_->run(x, x);
    if (projection_) {
      Matrix projected(x.rows, projection_->info.outputs);
      linear(*projection_, x, projected.view(), LinearOutput::kAssign, state.threads);
      state.hidden = std::move(projected);
    }
  }

 private:
  std::optional<Norm> norm_;
  std::optional<LinearLayer> projection_;
};

}  // namespace

void Embedding::describe(ModelStructure& structure) const {
  structure.stages.emplace_back(spec_);
  structure.embeddings.push_back(spec_.tokens);
  if (!spec_.positions.empty()) structure.embeddings.push_back(spec_.positions);
  if (spec_.projection) structure.obstacles.emplace_back("the embeddings are projected");
}

std::unique_ptr<LoadedStage> Embedding::load(const WeightSource& weights) const {
  return std::make_unique<LoadedEmbedding>(spec_, weights);
}

void FinalNorm::describe(ModelStructure& structure) const {
  structure.stages.emplace_back(spec_);
  structure.final_norm = spec_.norm;
  if (spec_.projection) structure.obstacles.emplace_back("the output is projected");
}

std::unique_ptr<LoadedStage> FinalNorm::load(const WeightSource& weights) const {
  return std::make_unique<LoadedFinalNorm>(spec_, weights);
}

}  // namespace scant
