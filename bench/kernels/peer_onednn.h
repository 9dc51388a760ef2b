#pragma once

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <dnnl.hpp>
#include <vector>

namespace scant {

/// Median seconds of oneDNN's u8 x s8 -> float product (weights in the form that it likes best,
/// made before), tokens x cols times cols x rows.
inline double onednn_u8s8_seconds(int64_t tokens, int64_t rows, int64_t cols, int threads,
                                  int repeats) {
  using namespace dnnl;
  using dt = memory::data_type;
  using tag = memory::format_tag;
  omp_set_num_threads(threads);
  const engine cpu(engine::kind::cpu, 0);
  stream queue(cpu);
  const memory::desc source({tokens, cols}, dt::u8, tag::ab);
  const memory::desc weights({cols, rows}, dt::s8, tag::any);
  const memory::desc target({tokens, rows}, dt::f32, tag::ab);
  const matmul::primitive_desc plan(matmul::desc(source, weights, target), cpu);
  const matmul product(plan);
  memory x(plan.src_desc(), cpu), w(plan.weights_desc(), cpu), y(plan.dst_desc(), cpu);
  std::fill_n(static_cast<uint8_t*>(x.get_data_handle()), plan.src_desc().get_size(), uint8_t{3});
  std::fill_n(static_cast<uint8_t*>(w.get_data_handle()), plan.weights_desc().get_size(),
              uint8_t{5});
  std::vector<double> times;
  for (int i = 0; i <= repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    product.execute(queue, {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}});
    queue.wait();
    times.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(times.begin() + 1, times.begin() + 1 + repeats / 2, times.end());
  return times[static_cast<size_t>(1 + repeats / 2)];
}

}  // namespace scant
