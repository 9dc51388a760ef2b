// Calibrated methods on one layer, part by part, against this machine's own sgemm in the same run.
// docs/performance.md says how to read it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "core/error.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "methods/joint/joint_solver.h"
#include "methods/sweep.h"
#include "ops/gemm.h"
#include "ops/gram.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// What one part took, in seconds by the clock and of all threads' processor time.
struct Time {
  double wall = 0, cpu = 0;
};

Time time_of(const std::function<void()>& call) {
  const Stopwatch watch;
  const double cpu = processor_seconds();
  call();
  return {watch.seconds(), processor_seconds() - cpu};
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(values.size() / 2));
  return values[values.size() / 2];
}

struct LayerShape {
  int64_t rows, cols, tokens;
};

/// Inputs whose features are of unequal size and correlated by a few directions.
Matrix make_inputs(const LayerShape& shape, Context& context) {
  constexpr int64_t kDirections = 64;
  Matrix x(shape.tokens, shape.cols), weights(shape.tokens, kDirections),
      directions(kDirections, shape.cols);
  const CounterRandom random(1, 1), strength(1, 2), share(1, 3);
  for (int64_t i = 0; i < weights.size(); ++i) {
    weights.data()[i] = share.normal(static_cast<uint64_t>(i));
  }
  for (int64_t i = 0; i < directions.size(); ++i) {
    directions.data()[i] = 0.2f * strength.normal(static_cast<uint64_t>(i));
  }
  context.threads.parallel_for(shape.tokens, [&](int64_t t) {
    for (int64_t c = 0; c < shape.cols; ++c) {
      x(t, c) = random.normal(static_cast<uint64_t>(t * shape.cols + c));
    }
    gemm(weights.view().rows_from(t, 1), directions.view(), x.view().rows_from(t, 1),
         {.beta = 1.0f});
    for (int64_t c = 0; c < shape.cols; ++c) {
      x(t, c) *= std::exp(0.7f * strength.normal(static_cast<uint64_t>(c) + (1u << 30)));
    }
  });
  return x;
}

Matrix make_weight(const LayerShape& shape) {
  Matrix weight(shape.rows, shape.cols);
  const CounterRandom random(2, 1);
  for (int64_t i = 0; i < weight.size(); ++i) {
    weight.data()[i] = 0.02f * random.normal(static_cast<uint64_t>(i));
  }
  return weight;
}

class Bench {
 public:
  Bench(const LayerShape& shape, const std::string& pattern, const std::string& format, int threads)
      : shape_(shape),
        pool_(threads),
        context_{pool_},
        pattern_(SparsityPattern::parse(pattern)),
        format_(NumberFormat::parse(format, Role::kWeight)),
        inputs_(make_inputs(shape, context_)),
        weight_(make_weight(shape)),
        values_(shape.rows, shape.cols) {
    const std::vector<ConstMatrixView> samples = {inputs_.view()};
    gram_ = Matrix::zeros(shape.cols, shape.cols);
    accumulate_gram(samples, gram_.view(), context_);
    complete_gram(gram_.view());
  }

  /// One repetition: every part once, sgemm first.
  void repeat(const std::string& only) {
    time("sgemm", sgemm_operations(), "", [&] { run_sgemm(); });
    time("gram", shape_.tokens * shape_.cols * (shape_.cols + 1), only, [&] {
      Matrix gram = Matrix::zeros(shape_.cols, shape_.cols);
      const std::vector<ConstMatrixView> samples = {inputs_.view()};
      accumulate_gram(samples, gram.view(), context_);
    });
    const InputStatistics statistics(Matrix::copy_of(gram_.view()));
    // A third of n^3 additions and multiplications each, and as many for the inverse.
    const int64_t cubed = shape_.cols * shape_.cols * shape_.cols;
    time("Cholesky", cubed / 3, only, [&] { statistics.factor(context_); });
    time("inverse", cubed / 3, only,
         [&] { inverse_diagonal(statistics.factor(context_), context_); });
    statistics.factor_by_norm(context_);
    sweeps(statistics, only);
    methods(only);
  }

  nlohmann::json to_json() const {
    nlohmann::json results = nlohmann::json::object();
    for (const auto& [name, times] : times_) {
      results[name] = {{"seconds", median_of(times, &Time::wall)},
                       {"cpu_seconds", median_of(times, &Time::cpu)}};
      if (operations_.at(name) > 0) results[name]["share_of_sgemm"] = share_of_sgemm(name);
      if (errors_.contains(name)) results[name]["output_error"] = errors_.at(name);
    }
    return results;
  }

  void print() const {
    fmt::print("{:<22} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "", "seconds", "cpu s", "GFLOP/s",
               "of sgemm", "error");
    for (const std::string& name : names_) {
      const auto& times = times_.at(name);
      const double cpu = median_of(times, &Time::cpu);
      const auto operations = static_cast<double>(operations_.at(name));
      fmt::print("{:<22} {:>9.3f} {:>9.3f}", name, median_of(times, &Time::wall), cpu);
      if (operations > 0) {
        fmt::print(" {:>9.1f} {:>8.0f}%", operations / cpu * 1e-9, 100 * share_of_sgemm(name));
      } else if (errors_.contains(name)) {
        fmt::print(" {:>9} {:>9} {:>9.5f}", "", "", errors_.at(name));
      }
      fmt::print("\n");
    }
  }

 private:
  static constexpr int64_t kSide = 1024;
  static int64_t sgemm_operations() { return 16 * 2 * kSide * kSide * kSide; }

  void run_sgemm() {
    context_.threads.parallel_for(16, [&](int64_t) {
      Matrix product(kSide, kSide);
      const ConstMatrixView a = inputs_.view();
      gemm({a.data, kSide, kSide}, {a.data + kSide * kSide, kSide, kSide}, product.view());
    });
  }

  void time(const std::string& name, int64_t operations, const std::string& only,
            const std::function<void()>& call) {
    if (!only.empty() && name.find(only) == std::string::npos) return;
    if (!times_.contains(name)) names_.push_back(name);
    operations_[name] = operations;
    times_[name].push_back(time_of(call));
  }

  /// The passes alone: factors, masks and scales are there.
  void sweeps(const InputStatistics& statistics, const std::string& only) {
    const QuantizedMatrix grid = quantize_matrix(weight_.view(), format_, {}, context_);
    const int64_t operations = shape_.rows * shape_.cols * shape_.cols;
    const auto sweep = [&](const std::string& name, const Sweep& what) {
      time(name, operations, only,
           [&] { run_sweep(what, weight_.view(), values_.view(), context_); });
    };
    sweep("sweep, gptq", {.factor = statistics.factor_by_norm(context_), .grid = &grid});
    sweep("sweep, sparsegpt", {.factor = statistics.factor(context_), .pattern = &pattern_});
    sweep("sweep, one-pass",
          {.factor = statistics.factor(context_), .pattern = &pattern_, .grid = &grid});
  }

  /// The whole method from the Gram matrix on, factorisation included.
  void methods(const std::string& only) {
    const auto whole = [&](const std::string& name, const auto& run) {
      InputStatistics statistics(Matrix::copy_of(gram_.view()));
      const Statistics all{&statistics};
      time("whole, " + name, 0, only, [&] { run(all); });
      if (!times_.contains("whole, " + name) || errors_.contains("whole, " + name)) return;
      errors_["whole, " + name] =
          relative_output_error(weight_.view(), values_.view(), statistics, context_);
    };
    whole("gptq", [&](const Statistics& all) {
      gptq_quantizer().quantize(weight_.view(), format_, {}, all, values_.view(), context_);
    });
    whole("sparsegpt", [&](const Statistics& all) {
      values_ = sparsegpt_pruner().prune(weight_.view(), {pattern_, all}, context_).values;
    });
    const Pruner pruner = sparsegpt_pruner();
    const Quantizer quantizer = gptq_quantizer();
    for (const JointSolver& solver : {one_pass_solver(), scant_solver()}) {
      whole(std::string(solver.name), [&](const Statistics& all) {
        solver.solve({weight_.view(), pattern_, format_, pruner, quantizer, all}, values_.view(),
                     context_);
      });
    }
  }

  static double median_of(const std::vector<Time>& times, double Time::*what) {
    std::vector<double> values;
    for (const Time& time : times) values.push_back(time.*what);
    return median(std::move(values));
  }

  /// Operations per second of processor time, as a share of sgemm's in the same repetition.
  double share_of_sgemm(const std::string& name) const {
    const auto& times = times_.at(name);
    const auto& yardstick = times_.at("sgemm");
    std::vector<double> shares;
    for (size_t i = 0; i < times.size(); ++i) {
      const double rate = static_cast<double>(operations_.at(name)) / times[i].cpu;
      shares.push_back(rate * yardstick[i].cpu / static_cast<double>(sgemm_operations()));
    }
    return median(std::move(shares));
  }

  LayerShape shape_;
  ThreadPool pool_;
  Context context_;
  SparsityPattern pattern_;
  NumberFormat format_;
  Matrix inputs_, weight_, values_, gram_;
  std::vector<std::string> names_;  // in the order of the table
  std::map<std::string, std::vector<Time>> times_;
  std::map<std::string, int64_t> operations_;
  std::map<std::string, double> errors_;
};

}  // namespace
}  // namespace scant

int main(int argc, char** argv) {
  using namespace scant;
  CLI::App app("Calibrated methods on one layer against this machine's sgemm");
  LayerShape shape{4096, 4096, 8192};
  std::string pattern = "2:4", format = "int4:g128", only, isa;
  int threads = 1, rounds = 3;
  bool json = false;
  app.add_option("--rows", shape.rows)->check(CLI::Range(64, 1 << 16));
  app.add_option("--cols", shape.cols)->check(CLI::Range(64, 1 << 14));
  app.add_option("--tokens", shape.tokens)->check(CLI::Range(1024, 1 << 20));
  app.add_option("--sparsity", pattern);
  app.add_option("--weights", format);
  app.add_option("--threads", threads)->check(CLI::Range(1, 1024));
  app.add_option("--rounds", rounds, "repetitions; medians count")->check(CLI::Range(1, 1000));
  app.add_option("--only", only, "parts whose name contains this");
  app.add_option("--isa", isa, "portable, avx2 or avx512 instead of the best");
  app.add_flag("--json", json);
  CLI11_PARSE(app, argc, argv);
  try {
    if (!isa.empty()) {
      const auto parsed = parse_isa(isa);
      if (!parsed) throw Error("--isa", "unknown instruction set " + isa);
      limit_isa(*parsed);
    }
    Bench bench(shape, pattern, format, threads);
    for (int round = 0; round < rounds; ++round) bench.repeat(only);
    if (json) {
      fmt::print("{}\n", bench.to_json().dump());
    } else {
      fmt::print("{} x {}, {} tokens, {} + {}, {} thread(s), {}\n", shape.rows, shape.cols,
                 shape.tokens, pattern, format, threads, isa_name(active_isa()));
      bench.print();
    }
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
