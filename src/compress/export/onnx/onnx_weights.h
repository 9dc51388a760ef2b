#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "compress/export/export_target.h"
#include "compress/export/onnx/onnx_graph.h"
#include "compress/export/onnx/onnx_storage.h"

namespace scant {

/// The parameters of a model as values of a graph, all float32 where they are computed with.
/// A tensor is written when it is first asked for. Memory: some rows.
class OnnxWeights {
 public:
  OnnxWeights(const ExportJob& job, OnnxGraph& graph, Context& context);

  /// A plain tensor.
  std::string parameter(const std::string& tensor);
  /// Rows of a table; `indices`: of one dimension.
  std::string rows(const std::string& tensor, const std::string& indices);
  /// layer(x), x tokens x inputs: quantized inputs, weight, bias.
  std::string linear(const LinearInfo& layer, const std::string& x);

  /// What became of coded tensors; notes on rounded ones.
  ExportResult result() const;

 private:
  /// The initializers of a coded tensor.
  struct Coded {
    OnnxStorage storage;
    std::string codes, scales, zero_points;  ///< as DequantizeLinear or GatherBlockQuantized takes
    std::string columns;                     ///< factors of columns; empty: none
    std::string order;  ///< columns in the order that is stored; empty: their own
  };
  /// The weight if it is stored as codes.
  const ExportedWeight* coded_entry(const std::string& tensor) const;
  const Coded& coded(const ExportedWeight& weight);
  std::string dequantized(const PackedSpec& spec, const Coded& coded, const std::string& codes,
                          const std::string& scales, const std::string& zero_points);
  std::string times_columns(const std::string& x, const Coded& coded);
  /// Inputs as a coded weight takes them: by its factors, in its order.
  std::string arranged_inputs(const std::string& x, const Coded& coded);
  /// x times a weight of kBlocks.
  std::string block_product(const ExportedWeight& weight, const Coded& coded, const std::string& x);

  /// The initializer of a plain tensor, in the type that it is stored in.
  const std::string& plain(const std::string& tensor);
  void write_plain(const StoredTensor& tensor);
  /// An initializer in float32.
  std::string widened(const std::string& stored, OnnxType type);
  std::string quantized_inputs(const LinearInfo& layer, const std::string& x);
  void count(const std::string& tensor, int64_t bytes);
  void report_progress();

  struct Quantized {
    std::string x, result;
    const InputQuantization* how;
  };

  const ExportJob& job_;
  OnnxGraph& graph_;
  Context& context_;
  ExportResult result_;
  int64_t rounded_ = 0;                          ///< tensors that the type asked for rounds
  int64_t written_ = 0;                          ///< tensors
  std::map<std::string, Coded> coded_;           ///< by tensor
  std::map<std::string, OnnxType> plain_types_;  ///< of plain tensors that are written
  std::map<std::string, std::string> widened_;   ///< by initializer
  std::vector<Quantized> quantized_;             ///< inputs that several layers may share
};

}  // namespace scant
