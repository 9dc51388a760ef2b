#pragma once

#include <optional>

#include "core/context.h"
#include "core/tensor.h"
#include "formats/mask.h"
#include "formats/pattern.h"
#include "formats/quantized.h"

// What formats/ defines value by value, at the speed of memory: float32 to float32 ("simulated"),
// and to codes, scales and masks where they are asked for. Every result equals the definition's
// bit for bit, on every instruction set and for any number of threads.
namespace scant {

/// s(x), q(x), q(s(x)) or s(q(x)): magnitude sparsity s, quantization q.
struct Simulation {
  std::optional<SparsityPattern> pattern;
  std::optional<NumberFormat> format;
  bool quantize_first = false;  ///< s(q(x)), selection by dequantized magnitude
  uint64_t seed = 0;            ///< for `:stoch`, as in QuantizeOptions
  uint64_t stream = 0;
};

/// What is wanted; what is null is not computed.
struct SimulationResult {
  MatrixView values;                     ///< the simulated matrix; may be the input itself
  QuantizedMatrix* quantized = nullptr;  ///< codes and scales, as quantize() gives them
  Mask* mask = nullptr;                  ///< what the pattern keeps
};

/// One pass over memory for N:M patterns and scales by row, group or block: pieces of rows go
/// through the first-level cache. Scales of whole tensors cost a second reading, other patterns a
/// selection first. Throws Error if a value is NaN or infinite, naming its index, or if shapes
/// differ.
void simulate_matrix(ConstMatrixView values, const Simulation& simulation,
                     const SimulationResult& result, Context& context);

/// quantize() of formats/quantized.h, and dequantize() of it into `simulated` unless that is null;
/// it may be the values themselves.
QuantizedMatrix quantize_matrix(ConstMatrixView values, const NumberFormat& format,
                                const QuantizeOptions& options, Context& context,
                                MatrixView simulated = {});

/// quantize_in_place() of formats/quantized.h, into `simulated`, which may be the values
/// themselves. Single-threaded: what the inputs of a layer go through.
void quantize_rows(ConstMatrixView values, MatrixView simulated, const NumberFormat& format,
                   const QuantizeOptions& options = {});

/// dequantize() of formats/quantized.h, on all threads.
void dequantize_matrix(const QuantizedMatrix& quantized, MatrixView out, Context& context);

/// pattern.select_magnitude(values). Throws Error if a value is NaN or infinite.
Mask select_magnitude_mask(ConstMatrixView values, const SparsityPattern& pattern,
                           Context& context);

}  // namespace scant
