#include "compress/transforms/rotate.h"

#include <utility>

#include "compress/transforms/transformed_checkpoint.h"
#include "core/error.h"
#include "models/structure.h"

namespace scant {
namespace {

void require_foldable(const Model& model, const ModelStructure& structure) {
  const auto refuse = [&](const std::string& reason) {
    throw Error(model.checkpoint().path(), "cannot be rotated: " + reason);
  };
  bool layer_norms = false;
  bool transposed = false;
  for (const NormReaders& entry : structure.norms) {
    layer_norms |= entry.norm.kind != NormSpec::Kind::kRms;
    for (const LinearInfo& reader : entry.readers) transposed |= reader.transposed;
  }
  if (structure.final_norm) layer_norms |= structure.final_norm->kind != NormSpec::Kind::kRms;
  if (layer_norms) {
    refuse(model.facts().architecture +
           " has layer norms, which subtract the mean and do not commute with a rotation; expected "
           "a model with RMS norms");
  }
  if (!structure.obstacles.empty()) refuse(structure.obstacles.front());
  if (transposed) refuse("its layers are stored inputs x outputs");
}

class Rotator {
 public:
  Rotator(const Model& model, uint64_t seed)
      : model_(model), structure_(model.structure()), seed_(seed) {
    require_foldable(model, structure_);
    residual_ = std::make_shared<const Rotation>(model.facts().hidden, seed);
  }

  void rotate_residual() {
    for (const NormReaders& entry : structure_.norms) {
      const std::vector<float> weight = fold(entry.norm);
      for (const LinearInfo& reader : entry.readers) read_rotated(reader.tensor, weight);
    }
    for (const LinearInfo& writer : structure_.writers) {
      edits_.tensors[writer.tensor].column_rotation = residual_;
      if (writer.bias) edits_.tensors[writer.name + ".bias"].column_rotation = residual_;
    }
    for (const std::string& embedding : structure_.embeddings) {
      edits_.tensors[embedding].row_rotation = residual_;
    }
    const std::vector<float> weight =
        structure_.final_norm ? fold(*structure_.final_norm) : std::vector<float>();
    if (model_.facts().tied_head) untie();
    read_rotated(structure_.untied_head, weight);
  }

  void rotate_downs() {
    for (const LinearInfo& down : structure_.downs) {
      const auto rotation = std::make_shared<const Rotation>(down.inputs, seed_);
      edits_.tensors[down.tensor].row_rotation = rotation;
      inputs_.rotations.emplace(down.name, rotation);
    }
  }

  std::unique_ptr<Model> finish() {
    return Model::from_checkpoint(
        std::make_shared<TransformedCheckpoint>(model_.shared_checkpoint(), std::move(edits_)),
        std::move(inputs_));
  }

 private:
  /// Takes the weight out of a norm.
  std::vector<float> fold(const NormSpec& norm) {
    if (norm.weight.empty()) return {};
    const Matrix weight = model_.weights().parameter(norm.weight);
    edits_.tensors[norm.weight].ones = true;
    return {weight.values().begin(), weight.values().end()};
  }

  void read_rotated(const std::string& tensor, const std::vector<float>& norm_weight) {
    TensorEdit& edit = edits_.tensors[tensor];
    edit.columns = norm_weight;
    edit.row_rotation = residual_;
  }

  /// The final norm's weight goes into the head and not into the embeddings.
  void untie() {
    if (model_.checkpoint().find(structure_.untied_head) == nullptr) {
      edits_.copies.emplace(structure_.untied_head, structure_.head);
    }
    edits_.config["tie_word_embeddings"] = false;
  }

  const Model& model_;
  ModelStructure structure_;
  uint64_t seed_;
  std::shared_ptr<const Rotation> residual_;
  CheckpointEdits edits_;
  LinearInputs inputs_;
};

}  // namespace

std::unique_ptr<Model> rotate_model(const Model& model, bool down, uint64_t seed) {
  Rotator rotator(model, seed);
  rotator.rotate_residual();
  if (down) rotator.rotate_downs();
  return rotator.finish();
}

}  // namespace scant
