#include "models/checkpoint_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"

namespace scant {
namespace {

// Values checked while they are still in the cache after widening.
constexpr int64_t kPieceValues = 1 << 16;

bool all_finite(std::span<const float> values) {
  uint32_t bad = 0;
  for (const float value : values) {
    constexpr uint32_t kExponent = 0x7f800000u;
    bad |= static_cast<uint32_t>((std::bit_cast<uint32_t>(value) & kExponent) == kExponent);
  }
  return bad == 0;
}

}  // namespace

CheckpointWeights::CheckpointWeights(std::shared_ptr<const Checkpoint> checkpoint,
                                     InputQuantizations activations)
    : checkpoint_(std::move(checkpoint)), activations_(std::move(activations)) {}

void CheckpointWeights::read(const StoredTensor& tensor, int64_t begin, int64_t count,
                             std::span<float> out) const {
  const int64_t row = std::max<int64_t>(1, tensor.row_size());
  const int64_t step = std::max<int64_t>(1, kPieceValues / row);
  for (int64_t done = 0; done < count; done += step) {
    const int64_t piece = std::min(step, count - done);
    const auto values =
        out.subspan(static_cast<size_t>(done * row), static_cast<size_t>(piece * row));
    checkpoint_->read_rows(tensor, begin + done, piece, values);
    if (!all_finite(values)) {
      const auto bad = std::ranges::find_if_not(values, [](float x) { return std::isfinite(x); });
      const int64_t at = bad - values.begin();
      throw Error(checkpoint_->path(),
                  fmt::format("tensor {}: the value at row {}, column {} is {}; expected finite "
                              "values",
                              tensor.name, begin + done + at / row, at % row,
                              std::isnan(*bad) ? "NaN" : "infinite"));
    }
  }
}

Matrix CheckpointWeights::parameter(const std::string& tensor) const {
  const StoredTensor& stored = checkpoint_->require(tensor);
  const bool vector = stored.shape.size() < 2;
  Matrix result(vector ? 1 : stored.rows(), vector ? stored.rows() : stored.row_size());
  read(stored, 0, stored.rows(), result.values());
  return result;
}

bool CheckpointWeights::has(const std::string& tensor) const {
  return checkpoint_->find(tensor) != nullptr;
}

Matrix CheckpointWeights::rows(const std::string& tensor, int64_t begin, int64_t count) const {
  const StoredTensor& stored = checkpoint_->require(tensor);
  Matrix result(count, stored.row_size());
  read(stored, begin, count, result.values());
  return result;
}

LinearLayer CheckpointWeights::linear(const LinearInfo& info) const {
  LinearLayer layer;
  layer.info = info;
  const StoredTensor& stored = checkpoint_->require(info.tensor);
  if (auto packed = checkpoint_->packed(stored)) {
    layer.terms.emplace_back(PackedTerm{std::make_shared<const MatmulWeight>(*packed)});
  } else {
    layer.terms.emplace_back(DenseTerm{read_weight(info, stored)});
  }
  if (info.bias) {
    const Matrix bias = parameter(info.name + ".bias");
    layer.bias.assign(bias.values().begin(), bias.values().end());
  }
  if (const auto found = activations_.find(info.name); found != activations_.end()) {
    layer.activation = found->second;
  }
  return layer;
}

Matrix CheckpointWeights::read_weight(const LinearInfo& info, const StoredTensor& stored) const {
  Matrix weight(info.outputs, info.inputs);
  if (info.transposed) {
    const int64_t step = std::max<int64_t>(1, kPieceValues / info.outputs);
    Matrix piece(std::min(step, info.inputs), info.outputs);
    for (int64_t begin = 0; begin < info.inputs; begin += step) {
      const int64_t count = std::min(step, info.inputs - begin);
      read(stored, begin, count, piece.values().first(static_cast<size_t>(count * info.outputs)));
      for (int64_t o = 0; o < info.outputs; ++o) {
        for (int64_t i = 0; i < count; ++i) weight(o, begin + i) = piece(i, o);
      }
    }
  } else {
    read(stored, 0, info.outputs, weight.values());
  }
  return weight;
}

}  // namespace scant
