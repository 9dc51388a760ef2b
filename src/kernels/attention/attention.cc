#include "kernels/attention/attention.h"

#include <array>

#include "kernels/attention/rows.h"
#include "kernels/select.h"

namespace scant {
namespace {

constexpr auto kTable = std::to_array<KernelRow<AttentionRow>>({
#if defined(__x86_64__)
  {Isa::kAvx512, &kAttentionAvx512}, {Isa::kAvx2, &kAttentionAvx2},
#endif
      {Isa::kPortable, &kAttentionReference},
});

int64_t padded(int64_t n) {
  return (n + kAttentionPadding - 1) / kAttentionPadding * kAttentionPadding;
}

}  // namespace

std::string_view attention_kernel() { return select_kernel(kTable).name; }

int64_t attention_scratch_size(int64_t tokens, int64_t head_dim) {
  const int64_t keys = padded(tokens);
  return keys * head_dim            // keys of one head, packed
         + keys * padded(head_dim)  // values of one head, packed
         + kAttentionTile * keys    // scores of a tile
         + kAttentionPadding;       // where superfluous rows of a tile go
}

void attention(const AttentionShape& shape, ConstMatrixView q, ConstMatrixView k, ConstMatrixView v,
               MatrixView out, std::span<float> scratch) {
  select_kernel(kTable).run({.q = q.data,
                             .k = k.data,
                             .v = v.data,
                             .out = out.data,
                             .q_stride = q.stride,
                             .k_stride = k.stride,
                             .v_stride = v.stride,
                             .out_stride = out.stride,
                             .tokens = q.rows,
                             .heads = shape.heads,
                             .kv_heads = shape.kv_heads,
                             .head_dim = shape.head_dim,
                             .window = shape.window,
                             .scale = shape.scale,
                             .scratch = scratch.data()});
}

}  // namespace scant
