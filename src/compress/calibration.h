#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compress/hidden_states.h"

namespace scant {

/// Windows of text that say what the inputs of layers look like, and how they are used.
struct Calibration {
  std::vector<std::vector<int32_t>> windows;  ///< token ids, all of one length
  /// Whether a block sees the outputs of the compressed blocks before it, or those of the dense
  /// ones.
  bool from_compressed = true;
  StateStorage states;  ///< the hidden states between two blocks
  // Where the windows come from, for the record.
  std::string source;  ///< the file's name without its folder
  uint64_t seed = 0;   ///< of the choice of windows
};

/// A fingerprint of the windows' tokens: two runs that have it in common read the same.
std::string fingerprint_of_windows(const Calibration& calibration);

/// `samples` windows of `window` ids out of those that follow each other without overlap from the
/// first id on, drawn with `seed` without replacement and put in the order of the text; all of them
/// if there are fewer. Throws Error naming `source` if there is not even one.
std::vector<std::vector<int32_t>> draw_windows(const std::vector<int32_t>& ids, int64_t samples,
                                               int64_t window, uint64_t seed,
                                               const std::string& source);

}  // namespace scant
