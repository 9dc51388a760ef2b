#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/atomic_write.h"
#include "core/tensor.h"

namespace scant {

/// Element types, with ONNX's numbers (TensorProto.DataType).
enum class OnnxType : int32_t {
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt64 = 7,
  kFloat16 = 10,
  kDouble = 11,
  kBfloat16 = 16,
  kFloat8E4M3 = 17,
  kFloat8E5M2 = 19,
  kUint4 = 21,
  kInt4 = 22,
};
/// Bits of one element.
int onnx_type_bits(OnnxType type);
/// The type of a plain tensor: F32, F16 or BF16.
OnnxType onnx_type_of(DType dtype);

struct OnnxAttribute {
  std::string name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>> value;
};
using OnnxAttributes = std::vector<OnnxAttribute>;
/// A size, or the name of one that is known when the model runs.
using OnnxDimension = std::variant<int64_t, std::string>;

/// The files that are written, as Optimum calls them.
inline constexpr const char* kOnnxModelFile = "model.onnx";
inline constexpr const char* kOnnxDataFile = "model.onnx_data";
/// What readers must know: the first opset with blocks of scales.
inline constexpr int64_t kOnnxOpset = 21;
inline constexpr int64_t kOnnxIrVersion = 10;

/// An ONNX model on its way to a folder: the graph in memory, weights in a file beside it as they
/// come, so that 2 GiB are no limit. Values are known by their names.
class OnnxGraph {
 public:
  using Names = std::vector<std::string>;

  explicit OnnxGraph(const AtomicFolder& folder);
  ~OnnxGraph();
  OnnxGraph(const OnnxGraph&) = delete;
  OnnxGraph& operator=(const OnnxGraph&) = delete;

  /// What the names of the following nodes begin with: "model.layers.0.mlp".
  void set_scope(std::string scope) { scope_ = std::move(scope); }
  /// Adds an operator of ONNX; its output. An empty input is one that is left out.
  std::string add(std::string_view op, const Names& inputs, const OnnxAttributes& attributes = {});
  /// The same with several outputs.
  Names add_split(std::string_view op, size_t outputs, const Names& inputs,
                  const OnnxAttributes& attributes = {});
  /// The same of onnxruntime's own operators (com.microsoft).
  std::string add_microsoft(std::string_view op, const Names& inputs,
                            const OnnxAttributes& attributes);
  /// Another name for a value: what an output of the model is called.
  void name_value(const std::string& value, const std::string& name);

  /// Small constants, kept in the graph and shared by equal ones.
  std::string number(float value);     ///< of no dimension
  std::string number64(double value);  ///< of no dimension
  std::string integer(int64_t value);  ///< of no dimension
  std::string integers(const std::vector<int64_t>& values);
  std::string numbers(std::span<const float> values);  ///< not shared
  std::string byte(OnnxType type, int value);          ///< int8 or uint8 of no dimension

  /// A weight in the data file: begin, then its bytes in any number of pieces, then end. Four-bit
  /// elements fill bytes from the low half on. Throws std::logic_error if the bytes do not fill it.
  void begin_weight(const std::string& name, OnnxType type, const Shape& shape);
  void append(std::span<const std::byte> bytes);
  void end_weight();
  /// The bytes of a weight once more under another shape.
  void add_view(const std::string& name, const std::string& of, const Shape& shape);

  void add_input(const std::string& name, OnnxType type, const std::vector<OnnxDimension>& shape);
  void add_output(const std::string& name, OnnxType type, const std::vector<OnnxDimension>& shape);

  /// Writes what is left: the graph itself. Bytes of the weights.
  int64_t finish();

 private:
  struct Parts;
  std::string new_name(std::string_view op);
  std::string constant(const std::string& key, OnnxType type, const Shape& shape,
                       std::span<const std::byte> bytes);

  std::unique_ptr<Parts> parts_;
  std::string scope_;
  std::map<std::string, int> names_;           ///< how often a name was wanted
  std::map<std::string, std::string> shared_;  ///< constants by what they hold
};

}  // namespace scant
