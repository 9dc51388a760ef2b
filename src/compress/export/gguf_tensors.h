#pragma once

#include <string>
#include <vector>

#include "checkpoint/gguf_writer.h"
#include "compress/export/gguf_metadata.h"
#include "compress/export/gguf_types.h"

namespace scant {

/// One tensor of the file, and where it comes from.
struct GgufTensorJob {
  GgufPlannedTensor planned;
  const StoredTensor* stored = nullptr;    ///< null: the rope factors
  const ExportedWeight* weight = nullptr;  ///< packed
  const GgufEncoding* encoding = nullptr;  ///< of its codes; null: values
  const std::byte* blocks = nullptr;       ///< of another GGUF file, copied
  int64_t interleaved_rows = 0;            ///< rows per head whose halves are interleaved, or 0
  bool transposed = false;                 ///< stored inputs x outputs
};

/// Every tensor of the file in its order. Throws Error naming what no type holds. `exact`: look at
/// the values of pruned plain weights for the smallest type that holds them; else assume F32.
std::vector<GgufTensorJob> gguf_tensors(const ExportJob& job, const GgufMetadata& metadata,
                                        bool exact);

/// Writes tensors, one after the other.
class GgufTensorWriter {
 public:
  GgufTensorWriter(const ExportJob& job, const GgufMetadata& metadata, GgufWriter& writer,
                   Context& context)
      : job_(job), metadata_(metadata), writer_(writer), context_(context) {}

  void write(const GgufTensorJob& tensor);
  /// Tensors whose values were rounded to --dtype.
  int64_t rounded() const { return rounded_; }

 private:
  void write_codes(const GgufTensorJob& tensor);
  void write_values(const GgufTensorJob& tensor);
  /// Narrowed; whether every value is exact.
  bool append(std::span<const float> values, const GgufTensorJob& tensor);

  const ExportJob& job_;
  const GgufMetadata& metadata_;
  GgufWriter& writer_;
  Context& context_;
  int64_t rounded_ = 0;
};

}  // namespace scant
