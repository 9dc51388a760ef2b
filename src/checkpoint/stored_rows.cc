#include "checkpoint/stored_rows.h"

#include <algorithm>

namespace scant {

void read_stored_rows(const StoredTensor& tensor, bool transposed, int64_t outputs, int64_t inputs,
                      int64_t begin, int64_t count, std::span<float> out,
                      const std::function<void(int64_t, MatrixView)>& unpack) {
  if (tensor.shape.size() == 2 && !transposed) {
    return unpack(begin, MatrixView(out.data(), count, inputs));
  }
  Matrix whole(outputs, inputs);
  unpack(0, whole.view());
  if (tensor.shape.size() == 1) {
    std::copy_n(whole.data() + begin, count, out.data());
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t o = 0; o < outputs; ++o) {
      out[static_cast<size_t>(i * outputs + o)] = whole(o, begin + i);
    }
  }
}

}  // namespace scant
