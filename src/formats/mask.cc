#include "formats/mask.h"

#include <numeric>

namespace scant {

Mask Mask::all(int64_t rows, int64_t cols) {
  return {rows, cols, std::vector<uint8_t>(static_cast<size_t>(rows * cols), 1)};
}

int64_t Mask::kept() const { return std::accumulate(keep.begin(), keep.end(), int64_t{0}); }

}  // namespace scant
