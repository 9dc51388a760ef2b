#pragma once

#include "compress/export/export_target.h"
#include "core/atomic_write.h"

namespace scant {

/// Writes the model of `job` as a graph and its weights, derived from ModelStructure::stages:
///
///   input_ids, position_ids int64 [batch, sequence]; attention_mask int64 [batch, past +
///   sequence]; past_key_values.N.key and .value float [batch, kv_heads, past, head_dim]
///   -> logits float [batch, sequence, vocabulary]; present.N.key and .value
///
/// What it computes is float32 but where inputs are quantized. Memory: some rows of a weight.
ExportResult write_onnx_decoder(const ExportJob& job, const AtomicFolder& folder, Context& context);

}  // namespace scant
