#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/tensor.h"
#include "core/threads.h"
#include "kernels/matmul/packed_matmul.h"
#include "models/input_quantization.h"
#include "ops/rotation/rotation.h"

namespace scant {

/// Where a linear layer stands and how its weight is stored.
struct LinearInfo {
  std::string name;    ///< module name: "model.layers.0.self_attn.q_proj"
  std::string tensor;  ///< its weight: "model.layers.0.self_attn.q_proj.weight"
  std::string kind;    ///< last part of the name: "q_proj", "fc1", "c_attn"
  int64_t block = 0;   ///< depth
  int64_t outputs = 0;
  int64_t inputs = 0;
  bool transposed = false;  ///< stored inputs x outputs (GPT-2's Conv1D)
  bool bias = false;        ///< has a bias of `outputs` values, `NAME.bias`
  /// What its inputs are multiplied by before they meet the weight; null: nothing.
  std::shared_ptr<const Rotation> input_rotation;
};

/// A linear layer as data: input rotation -> quantized inputs -> sum of terms -> bias.
/// Size adds over terms; the error is that of the sum.
struct DenseTerm {
  Matrix weight;  ///< outputs x inputs
};
struct PackedTerm {
  std::shared_ptr<const MatmulWeight> weight;
};
using LinearTerm = std::variant<DenseTerm, PackedTerm>;  // A times B joins here

/// As what inputs meet packed weights: as they are, or rounded to int8 per 32 of them, which is
/// faster (kernels/matmul/packed_matmul.h). Layers that quantize their inputs anyway take theirs.
enum class PackedInputs : uint8_t { kFloat, kInt8 };

struct LinearLayer {
  LinearInfo info;
  std::optional<InputQuantization> activation;  ///< of the inputs, on the fly
  std::vector<LinearTerm> terms;
  std::vector<float> bias;  ///< empty or outputs
  PackedInputs packed_inputs = PackedInputs::kFloat;
};

/// The sum of the terms, outputs x inputs: for methods, which see one matrix.
Matrix dense_weight(LinearLayer layer);

enum class LinearOutput : uint8_t { kAssign, kAdd };

/// y = layer(x), or y += layer(x); x tokens x inputs, rotated already (Pass does it, so that taps
/// see what meets the weight), y tokens x outputs. With `threads` the outputs are cut into pieces,
/// by the layer's size and not by the number of threads; null: single-threaded. With linear_shared
/// the one place where models meet weights.
void linear(const LinearLayer& layer, ConstMatrixView x, MatrixView y,
            LinearOutput output = LinearOutput::kAssign, ThreadPool* threads = nullptr);

/// ys[i] = layers[i](x): layers that read the same input, which is quantized once where they do it
/// alike.
void linear_shared(std::span<const LinearLayer> layers, ConstMatrixView x,
                   std::span<const MatrixView> ys, ThreadPool* threads = nullptr);

/// Where parameters come from: a checkpoint, or a checkpoint with some weights replaced. Constant
/// member functions are called from several threads at once.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// A parameter by tensor name, float32: a matrix as it is stored, a vector as one row. Throws
  /// Error naming the tensor if it is missing or holds a NaN or an infinity.
  virtual Matrix parameter(const std::string& tensor) const = 0;
  virtual bool has(const std::string& tensor) const = 0;
  /// Rows of a matrix parameter (embedding lookups, slices of the head). Throws like parameter().
  virtual Matrix rows(const std::string& tensor, int64_t begin, int64_t count) const = 0;
  /// A linear layer, outputs x inputs however it is stored, with its inputs' quantization if the
  /// model carries one and its bias if `info` has one. Throws like parameter().
  virtual LinearLayer linear(const LinearInfo& info) const = 0;
};

}  // namespace scant
