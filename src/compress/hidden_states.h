#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/temporary_file.h"
#include "core/tensor.h"

namespace scant {

/// Where hidden states wait between two blocks. The precision is part of what is computed, the
/// place is not.
struct StateStorage {
  DType dtype = DType::kF32;           ///< or kBF16: half the bytes, rounded to nearest even
  std::optional<std::string> offload;  ///< in a temporary file beside this path, not in memory
};

/// The hidden states of all calibration samples, tokens x features each.
class HiddenStates {
 public:
  HiddenStates() = default;  ///< of no samples
  HiddenStates(int64_t samples, const StateStorage& storage);

  bool empty() const { return samples_ == 0; }
  /// Thread-safe for different samples. A sample that was never put is an empty matrix, which is
  /// what the first stage of a model expects.
  Matrix get(int64_t sample) const;
  /// get() where the sample is put again before it is read: no copy in float32 in memory.
  Matrix take(int64_t sample);
  /// Thread-safe for different samples; all have the shape of the first, whatever its number.
  /// Throws Error if a file cannot be written.
  void put(int64_t sample, Matrix state);

  /// Anonymous memory that the states of `values` floats in all take.
  static int64_t memory(int64_t values, const StateStorage& storage);

 private:
  struct Slot {
    int64_t rows = 0, cols = 0;
    Matrix wide;                    // float32 in memory
    std::vector<std::byte> narrow;  // others in memory
  };
  size_t bytes(const Slot& slot) const;

  int64_t samples_ = 0;
  DType dtype_ = DType::kF32;
  std::vector<Slot> slots_;
  std::optional<TemporaryFile> file_;
};

}  // namespace scant
