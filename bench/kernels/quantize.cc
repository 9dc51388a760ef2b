// Quantize, sparsify and both, against memcpy of the same matrix in the same run and against the
// scalar definition. docs/performance.md says how to read it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "core/error.h"
#include "core/random.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

struct Case {
  std::string op;       // "simulate": float32 out; "codes": one byte out, with scales
  std::string format;   // empty: none
  std::string pattern;  // empty: none
  bool quantize_first = false;
};

struct Measurement {
  double seconds = 0;       // median
  double copy_seconds = 0;  // median
  double share = 0;         // median of copy / kernel by pairs, per byte
};

struct Result {
  Case what;
  int threads = 1;
  double gigabytes_per_second = 0;
  double share_of_copy = 0;
  double over_reference = 0;
  double over_one_thread = 0;
};

double seconds_of(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* pattern : {"2:4", "1:4", "4:8", "8:16", "3:7"}) {
    cases.push_back({"simulate", "", pattern});
  }
  for (const char* format :
       {"int8", "int8:asym", "int4:g128", "int4:g128:asym", "int4:g32", "int8:tensor", "fp8_e4m3",
        "fp8_e5m2:tensor", "fp6_e3m2", "fp4_e2m1:g32", "mxfp8_e4m3", "mxfp6_e2m3", "mxfp4",
        "mxint8", "hbfp8", "hbfp4", "nvfp4", "nf4"}) {
    cases.push_back({"simulate", format, ""});
  }
  for (const char* format : {"int8", "int4:g128", "fp8_e4m3", "mxfp4", "hbfp8"}) {
    cases.push_back({"simulate", format, "2:4"});
    cases.push_back({"simulate", format, "2:4", true});
    cases.push_back({"codes", format, ""});
  }
  return cases;
}

class Bench {
 public:
  Bench(int64_t rows, int64_t cols, int repeats)
      : in_(rows, cols), out_(rows, cols), repeats_(repeats) {
    const CounterRandom random(1, 2);
    for (int64_t i = 0; i < cols; ++i) in_.data()[i] = random.normal(static_cast<uint64_t>(i));
    for (int64_t r = 1; r < rows; ++r) {  // the same values, rotated: cheap and no two rows alike
      for (int64_t c = 0; c < cols; ++c) in_(r, c) = in_(0, (c + 17 * r) % cols);
    }
    std::fill(out_.values().begin(), out_.values().end(), 0.0f);
  }

  Result run(const Case& what, int threads, double one_thread) {
    ThreadPool pool(threads);
    Context context{pool};
    const Measurement kernel = measure(what, context, threads);
    Result result{.what = what, .threads = threads};
    result.gigabytes_per_second = bytes(what, in_.size()) / kernel.seconds * 1e-9;
    result.share_of_copy = kernel.share;
    result.over_reference = reference_seconds(what, context) / kernel.seconds;
    result.over_one_thread = one_thread > 0 ? result.gigabytes_per_second / one_thread : 1.0;
    return result;
  }

 private:
  static double bytes(const Case& what, int64_t values) {
    return static_cast<double>(values) * (what.op == "codes" ? 5.0 : 8.0);
  }

  // Copies and kernel runs alternate, so that a disturbance meets both.
  Measurement measure(const Case& what, Context& context, int threads) {
    std::vector<double> copies, kernels, shares;
    const int64_t part = in_.rows() / threads;
    for (int i = 0; i <= repeats_; ++i) {
      const double copy = seconds_of([&] {
        context.threads.parallel_for(threads, [&](int64_t t) {
          std::memcpy(out_.row(t * part), in_.row(t * part),
                      static_cast<size_t>(part * in_.cols()) * sizeof(float));
        });
      });
      const double kernel = seconds_of([&] { call(what, in_.view(), out_.view(), context); });
      if (i == 0) continue;  // first touch of pages
      copies.push_back(copy);
      kernels.push_back(kernel);
      shares.push_back(copy / kernel * bytes(what, 1) / 8.0);
    }
    return {median(kernels), median(copies), median(shares)};
  }

  void call(const Case& what, ConstMatrixView in, MatrixView out, Context& context) {
    const Simulation simulation = simulation_of(what);
    if (what.op == "codes") {
      simulate_matrix(in, simulation, {.quantized = &codes_}, context);
    } else {
      simulate_matrix(in, simulation, {.values = out}, context);
    }
  }

  static Simulation simulation_of(const Case& what) {
    Simulation simulation;
    if (!what.format.empty()) {
      simulation.format = NumberFormat::parse(what.format, Role::kWeight);
    }
    if (!what.pattern.empty()) simulation.pattern = SparsityPattern::parse(what.pattern);
    simulation.quantize_first = what.quantize_first;
    return simulation;
  }

  // The definition in formats/ on a few rows, one thread, scaled to the whole matrix.
  double reference_seconds(const Case& what, Context& context) {
    const int64_t rows = std::min<int64_t>(in_.rows(), 64);
    const ConstMatrixView in = std::as_const(in_).view().rows_from(0, rows);
    const MatrixView out = out_.view().rows_from(0, rows);
    ThreadPool pool(1);
    Context alone{pool};
    (void)context;
    const Simulation simulation = simulation_of(what);
    std::vector<double> times;
    for (int i = 0; i < 3; ++i) {
      times.push_back(seconds_of([&] {
        Mask mask;
        const auto prune = [&](ConstMatrixView values) {
          if (simulation.pattern) mask = simulation.pattern->select_magnitude(values, alone);
        };
        if (!simulation.quantize_first) prune(in);
        if (simulation.format) {
          const QuantizeOptions options{.mask = mask.empty() ? nullptr : &mask};
          const QuantizedMatrix quantized = quantize(in, *simulation.format, options, alone);
          if (what.op != "codes") dequantize(quantized, out);
        } else {
          std::copy_n(in.data, in.size(), out.data);
        }
        if (simulation.quantize_first) prune(out);
        for (size_t j = 0; j < mask.keep.size(); ++j) {
          if (mask.keep[j] == 0) out.data[j] = 0.0f;
        }
      }));
    }
    return median(times) * static_cast<double>(in_.rows()) / static_cast<double>(rows);
  }

  Matrix in_, out_;
  QuantizedMatrix codes_;
  int repeats_;
};

std::string label(const Case& what) {
  std::string text = what.op + " ";
  const std::string format = what.format.empty() ? "-" : what.format;
  if (what.pattern.empty()) return text + format;
  if (what.format.empty()) return text + what.pattern;
  return text + (what.quantize_first ? format + ", then " + what.pattern
                                     : what.pattern + ", then " + format);
}

nlohmann::json to_json(const Result& result) {
  return {{"name", label(result.what)},
          {"threads", result.threads},
          {"gigabytes_per_second", result.gigabytes_per_second},
          {"share_of_copy", result.share_of_copy},
          {"over_one_thread", result.over_one_thread},
          {"over_reference", result.over_reference}};
}

}  // namespace
}  // namespace scant

int main(int argc, char** argv) {
  using namespace scant;
  CLI::App app("Quantize and sparsify against memory bandwidth and the scalar definition");
  int64_t rows = 4096, cols = 8192;
  int repeats = 9;
  std::vector<int> threads = {1, 2};
  std::string json_file, only, isa;
  app.add_option("--rows", rows)->check(CLI::Range(64, 1 << 20));
  app.add_option("--cols", cols)->check(CLI::Range(16, 1 << 20));
  app.add_option("--repeats", repeats, "pairs of copy and kernel; the median counts")
      ->check(CLI::Range(1, 1000));
  app.add_option("--threads", threads, "the first one is what the others are compared with");
  app.add_option("--only", only, "cases whose name contains this");
  app.add_option("--isa", isa, "portable, avx2 or avx512 instead of the best");
  app.add_option("--json", json_file, "write the results there");
  CLI11_PARSE(app, argc, argv);
  try {
    if (!isa.empty()) {
      const auto parsed = parse_isa(isa);
      if (!parsed) throw Error("--isa", "unknown instruction set " + isa);
      limit_isa(*parsed);
    }
    Bench bench(rows, cols, repeats);
    nlohmann::json results = nlohmann::json::array();
    fmt::print("{} x {} float32, {}\n", rows, cols, isa_name(active_isa()));
    fmt::print("{:40} {:>7} {:>7} {:>8} {:>9} {:>10}\n", "", "threads", "GB/s", "of copy",
               "of 1 thr.", "of scalar");
    for (const Case& what : all_cases()) {
      if (label(what).find(only) == std::string::npos) continue;
      double one_thread = 0;
      for (const int count : threads) {
        const Result result = bench.run(what, count, one_thread);
        if (one_thread == 0) one_thread = result.gigabytes_per_second;
        fmt::print("{:40} {:>7} {:>7.1f} {:>7.0f}% {:>9.2f} {:>10.1f}\n", label(what), count,
                   result.gigabytes_per_second, 100 * result.share_of_copy, result.over_one_thread,
                   result.over_reference);
        std::fflush(stdout);
        results.push_back(to_json(result));
      }
    }
    if (!json_file.empty()) {
      std::ofstream file(json_file);
      file << nlohmann::json{{"benchmark", "quantize"},
                             {"isa", isa_name(active_isa())},
                             {"rows", rows},
                             {"cols", cols},
                             {"results", results}}
                  .dump(2)
           << '\n';
      if (!file.flush()) throw Error(json_file, "cannot be written");
    }
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
