#pragma once

#include "compress/export/export_target.h"

namespace scant {

/// ONNX for onnxruntime: a decoder with its cache of keys and values as inputs and outputs, named
/// as Optimum names them (docs/formats/onnx.md).
ExportTarget onnx_target();

}  // namespace scant
