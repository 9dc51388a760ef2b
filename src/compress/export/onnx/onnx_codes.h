#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "compress/export/onnx/onnx_graph.h"
#include "compress/export/onnx/onnx_storage.h"
#include "formats/packed.h"

namespace scant {

/// Which codes share a scale as it is stored.
enum class OnnxScales : uint8_t { kOne, kRows, kBlocks };
OnnxScales onnx_scales(const PackedSpec& spec, const OnnxStorage& storage);

/// The bytes of one weight's codes, scales and zero points, row by row.
class OnnxCodes {
 public:
  /// `table`: in the shapes of GatherBlockQuantized, else in those of MatMulNBits.
  OnnxCodes(const PackedMatrix& matrix, const OnnxStorage& storage, bool table);

  /// Each writes one initializer; its bytes.
  int64_t write_codes(OnnxGraph& graph, const std::string& name) const;
  int64_t write_scales(OnnxGraph& graph, const std::string& name) const;
  int64_t write_zero_points(OnnxGraph& graph, const std::string& name) const;

 private:
  Shape code_shape() const;
  Shape scale_shape() const;
  /// Scales of a row as they are stored, and the group of the format that each belongs to.
  int64_t stored_per_row() const;
  BlockScale stored_scale(int64_t row, int64_t index) const;

  const PackedMatrix& matrix_;
  const OnnxStorage& storage_;
  bool table_;
};

}  // namespace scant
