// Forward pass over windows of tokens as `scant eval` runs it: tokens/s, GFLOP/s, and the share of
// this machine's sgemm rate, measured alternately in the same run. Rates per second of processor
// time stand beside those per second: on a machine that others use too they are the steadier.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "kernels/softmax/softmax.h"
#include "models/model.h"
#include "ops/gemm.h"

namespace scant {
namespace {

struct Options {
  std::string model;
  int64_t windows = 8;
  int64_t window = 512;
  int rounds = 5;
  int threads = 0;
  bool json = false;
};

/// Seconds by the clock, and seconds of all threads on a processor.
struct Time {
  double wall = 0;
  double cpu = 0;
  Time operator+(const Time& other) const { return {wall + other.wall, cpu + other.cpu}; }
};

template <typename F>
Time time_of(F&& work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();  // of the whole process
  work();
  const double cpu = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), cpu};
}

// What the arithmetic needs, not what is done: causal attention counts the keys that a token sees.
double forward_flops(const Model& model, int64_t window) {
  const ModelFacts& facts = model.facts();
  double weights = static_cast<double>(facts.vocabulary * facts.hidden);
  for (const LinearInfo& info : model.linears()) {
    weights += static_cast<double>(info.outputs * info.inputs);
  }
  const auto tokens = static_cast<double>(window);
  const double keys = tokens * (tokens + 1) / 2;
  const auto width = static_cast<double>(facts.heads * facts.head_dim * facts.layers);
  return 2 * weights * tokens + 4 * width * keys;
}

constexpr int64_t kSize = 1024;
constexpr int64_t kTimes = 4;

// Every thread multiplies square matrices of its own.
Time time_sgemm(ThreadPool& threads) {
  std::vector<Matrix> matrices;
  for (int i = 0; i < 3 * threads.size(); ++i) {
    matrices.push_back(Matrix(kSize, kSize));
    for (float& value : matrices.back().values()) value = 0.5f;
  }
  return time_of([&] {
    threads.parallel_for(threads.size(), [&](int64_t thread) {
      Matrix* own = &matrices[static_cast<size_t>(3 * thread)];
      for (int64_t i = 0; i < kTimes; ++i) {
        gemm(own[0].view(), own[1].view(), own[2].view(), {.b = Transpose::kYes});
      }
    });
  });
}

std::vector<State> random_windows(const Model& model, const Options& options) {
  const CounterRandom random(1, 0);
  std::vector<State> batch(static_cast<size_t>(options.windows));
  uint64_t index = 0;
  for (State& state : batch) {
    for (int64_t t = 0; t < options.window; ++t) {
      const auto vocabulary = static_cast<uint32_t>(model.facts().vocabulary);
      state.tokens.push_back(static_cast<int32_t>(random.below(index++, vocabulary)));
    }
  }
  return batch;
}

// The head in slices of the vocabulary, and the normaliser of every position.
void run_head(const Model& model, const std::vector<State>& batch, Context& context) {
  const int64_t vocabulary = model.head().vocabulary();
  const int64_t step = head_slice_rows(model);
  std::vector<std::vector<OnlineLogSumExp>> totals(batch.size());
  std::vector<Matrix> logits(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) totals[i].resize(batch[i].tokens.size());
  for (int64_t begin = 0; begin < vocabulary; begin += step) {
    const int64_t count = std::min(step, vocabulary - begin);
    const Matrix slice = model.head().load_slice(model.weights(), begin, count);
    context.threads.parallel_for(static_cast<int64_t>(batch.size()), [&](int64_t sample) {
      const auto i = static_cast<size_t>(sample);
      Matrix values(batch[i].hidden.rows(), count);
      head_logits(batch[i].hidden.view(), slice.view(), values.view());
      for (int64_t t = 0; t < values.rows(); ++t) {
        totals[i][static_cast<size_t>(t)].add(values.row_span(t));
      }
    });
  }
}

struct Result {
  std::vector<Time> blocks;
  std::vector<Time> total;  ///< blocks and head
  std::vector<Time> sgemm;
};

double median(const std::vector<Time>& times, double Time::*which) {
  std::vector<double> values;
  for (const Time& time : times) values.push_back(time.*which);
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void print(const Options& options, const Model& model, const Result& result, int threads) {
  const auto tokens = static_cast<double>(options.windows * options.window);
  const double flops = forward_flops(model, options.window) * static_cast<double>(options.windows);
  const double sgemm_flops = 2.0 * kSize * kSize * kSize * kTimes * threads;
  const double seconds = median(result.total, &Time::wall);
  const double rate = flops / seconds;
  const double sgemm = sgemm_flops / median(result.sgemm, &Time::wall);
  const double cpu_rate = flops / median(result.total, &Time::cpu);
  const double cpu_sgemm = sgemm_flops / median(result.sgemm, &Time::cpu);
  if (options.json) {
    const nlohmann::json out = {{"model", options.model},
                                {"threads", threads},
                                {"windows", options.windows},
                                {"window", options.window},
                                {"seconds", seconds},
                                {"tokens_per_second", tokens / seconds},
                                {"tokens_per_cpu_second", tokens / flops * cpu_rate},
                                {"gflops", rate / 1e9},
                                {"sgemm_gflops", sgemm / 1e9},
                                {"share_of_sgemm", rate / sgemm},
                                {"share_of_sgemm_by_cpu_time", cpu_rate / cpu_sgemm}};
    fmt::print("{}\n", out.dump());
    return;
  }
  fmt::print("{}: {} windows of {}, {} threads, median of {}\n", options.model, options.windows,
             options.window, threads, options.rounds);
  fmt::print("  {:10.1f} tokens/s   ({:.3f} s, of which blocks {:.3f} s)\n", tokens / seconds,
             seconds, median(result.blocks, &Time::wall));
  fmt::print("  {:10.1f} GFLOP/s                 {:10.1f} per second of processor time\n",
             rate / 1e9, cpu_rate / 1e9);
  fmt::print("  {:10.1f} GFLOP/s sgemm of 1024^3 {:10.1f}\n", sgemm / 1e9, cpu_sgemm / 1e9);
  fmt::print("  {:10.1f} % of it                 {:10.1f}\n", 100 * rate / sgemm,
             100 * cpu_rate / cpu_sgemm);
}

void run(const Options& options) {
  const auto model = Model::open(options.model);
  ThreadPool pool(options.threads);
  Context context{.threads = pool};
  std::vector<State> batch = random_windows(*model, options);
  Result result;
  for (int round = 0; round <= options.rounds; ++round) {
    const Time sgemm = time_sgemm(pool);
    const Time blocks =
        time_of([&] { run_stages(*model, model->weights(), batch, nullptr, context); });
    const Time head = time_of([&] { run_head(*model, batch, context); });
    if (round == 0) continue;  // pages are touched for the first time
    result.sgemm.push_back(sgemm);
    result.blocks.push_back(blocks);
    result.total.push_back(blocks + head);
  }
  print(options, *model, result, pool.size());
}

}  // namespace
}  // namespace scant

int main(int argc, char** argv) {
  scant::Options options;
  CLI::App app("Speed of the forward pass over windows of random tokens");
  app.add_option("model", options.model, "folder or GGUF file")->required();
  app.add_option("--windows", options.windows, "windows in the batch")->check(CLI::PositiveNumber);
  app.add_option("--window", options.window, "tokens per window")->check(CLI::PositiveNumber);
  app.add_option("--rounds", options.rounds, "repetitions")->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "0: one per processor");
  app.add_flag("--json", options.json, "one JSON object instead of a table");
  CLI11_PARSE(app, argc, argv);
  try {
    scant::run(options);
  } catch (const scant::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
