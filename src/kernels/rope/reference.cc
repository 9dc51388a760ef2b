#include "kernels/rope/rows.h"

namespace scant {
namespace {

void rotate(float* x, const float* cosine, const float* sine, int64_t heads,
            int64_t head_dim) noexcept {
  const int64_t half = head_dim / 2;
  for (int64_t h = 0; h < heads; ++h, x += head_dim) {
    for (int64_t i = 0; i < half; ++i) {
      const float a = x[i];
      const float b = x[i + half];
      x[i] = a * cosine[i] - b * sine[i];
      x[i + half] = b * cosine[i] + a * sine[i];
    }
  }
}

}  // namespace

const RopeRow kRopeReference = {"rope_f32__reference", rotate};

}  // namespace scant
