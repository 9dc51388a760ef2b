// Products of packed weights with one token and with many, against the memory's read bandwidth in
// the same run and, for many tokens, against oneDNN. docs/performance.md says how to read it.

#include "kernels/matmul/packed_matmul.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "core/error.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "core/threads.h"
#ifdef SCANT_BENCH_ONEDNN
#include "peer_onednn.h"
#endif

namespace scant {
namespace {

struct Case {
  std::string format, pattern, layout;
  std::string label() const { return format + (pattern.empty() ? "" : " " + pattern); }
};

std::vector<Case> all_cases() {
  return {{"int8", "", ""},
          {"int4:g128", "", ""},
          {"int4:g32:scale=fp16", "", ""},
          {"mxfp4", "", ""},
          {"int8", "2:4", ""},
          {"int4:g128", "2:4", ""},
          {"int8", "50%", "bitmask"},
          {"int4:g128", "50%", "bitmask"},
          {"int3:g128", "", ""},
          {"int2:g64", "", ""}};
}

struct Shape {
  int64_t rows, cols;
};

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<int64_t>(values.size() / 2));
  return values[values.size() / 2];
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// By the clock; with `processor` by the time that this process had.
double seconds_of(bool processor, const std::function<void()>& call) {
  const Stopwatch watch;
  const double before = processor_seconds();
  call();
  return processor ? processor_seconds() - before : watch.seconds();
}

/// Copies of a packed matrix in memory of their own.
class Copies {
 public:
  Copies(const PackedMatrix& matrix, int64_t bytes) {
    const int64_t count = std::max<int64_t>(1, (bytes + matrix.bytes() - 1) / matrix.bytes());
    for (int64_t i = 0; i < count; ++i) {
      auto owner = std::make_shared<std::vector<std::byte>>();
      owner->reserve(static_cast<size_t>(matrix.bytes()) + kPackedParts * 64);
      PackedMatrix::Parts parts;
      for (size_t p = 0; p < kPackedParts; ++p) {
        const auto from = matrix.part(static_cast<PackedPart>(p));
        owner->resize((owner->size() + 63) / 64 * 64);
        const size_t begin = owner->size();
        owner->insert(owner->end(), from.begin(), from.end());
        parts[p] = std::span(*owner).subspan(begin, from.size());
      }
      memory_.push_back(owner);
      weights_.emplace_back(PackedMatrix(matrix.spec(), parts, owner));
    }
  }
  const std::vector<MatmulWeight>& weights() const { return weights_; }
  const std::vector<std::shared_ptr<std::vector<std::byte>>>& memory() const { return memory_; }

 private:
  std::vector<std::shared_ptr<std::vector<std::byte>>> memory_;
  std::vector<MatmulWeight> weights_;
};

PackedMatrix make_packed(const Case& what, const Shape& shape, Context& context) {
  Matrix values(shape.rows, shape.cols);
  const CounterRandom random(1, 2);
  std::vector<float> some(1 << 16);
  for (size_t i = 0; i < some.size(); ++i) some[i] = 0.02f * random.normal(i);
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t c = 0; c < shape.cols; ++c) {
      values(r, c) = some[static_cast<size_t>(r * 7919 + c) & 0xffff];
    }
  }
  const auto format = NumberFormat::parse(what.format, Role::kWeight);
  if (what.pattern.empty()) {
    return pack(quantize(values.view(), format, {}, context), nullptr, std::nullopt, what.layout);
  }
  const auto pattern = SparsityPattern::parse(what.pattern);
  const Mask mask = pattern.select_magnitude(values.view(), context);
  return pack(quantize(values.view(), format, {.mask = &mask}, context), &mask, pattern,
              what.layout);
}

uint64_t sum_of(const std::byte* data, int64_t bytes) {
  constexpr int64_t kLanes = 16;
  uint64_t lanes[kLanes] = {};
  for (int64_t i = 0; i + kLanes * 8 <= bytes; i += kLanes * 8) {
    uint64_t block[kLanes];
    std::memcpy(block, data + i, sizeof block);
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += block[j];
  }
  uint64_t sum = 0;
  for (const uint64_t lane : lanes) sum += lane;
  return sum;
}

struct Result {
  Case what;
  Shape shape{};
  int threads = 1;
  int64_t tokens = 1;
  std::string inputs;
  int64_t bytes = 0;  // of one matrix
  double seconds = 0, read_seconds = 0, hot_seconds = 0, share_of_read = 0;
};

class Bench {
 public:
  Bench(int64_t cycled_bytes, int repeats) : cycled_bytes_(cycled_bytes), repeats_(repeats) {}

  Result run(const Case& what, const Shape& shape, int threads, int64_t tokens, bool floats) {
    ThreadPool pool(threads);
    Context context{pool};
    const Copies& copies = copies_of(what, shape, context);
    const MatmulWeight& first = copies.weights().front();
    Matrix x(tokens, shape.cols), y(tokens, shape.rows);
    const CounterRandom random(3, 4);
    for (int64_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal(static_cast<uint64_t>(i));
    Result result{what, shape, threads, tokens, floats ? "float" : "int8", first.matrix().bytes()};
    PreparedInputs inputs;
    const auto multiply = [&](const MatmulWeight& weight) {
      floats ? inputs.set_floats(x.view()) : inputs.set_int8(x.view(), {&weight});
      pool.parallel_for(matmul_pieces(weight), [&](int64_t piece) {
        packed_matmul(weight, inputs, piece_outputs(weight, piece), y.view());
      });
    };
    const size_t count = tokens == 1 ? copies.weights().size() : 1;
    std::vector<double> kernel, read, share, hot;
    for (int i = 0; i <= repeats_; ++i) {
      const double read_time = seconds_of(threads == 1, [&] {
        for (size_t c = 0; c < count; ++c) read_all(*copies.memory()[c], pool);
      });
      const double time = seconds_of(threads == 1, [&] {
        for (size_t c = 0; c < count; ++c) multiply(copies.weights()[c]);
      });
      const double hot_time = seconds_of(threads == 1, [&] {
        for (int k = 0; k < (tokens == 1 ? 4 : 1); ++k) multiply(first);
      });
      if (i == 0) continue;
      read.push_back(read_time / static_cast<double>(count));
      kernel.push_back(time / static_cast<double>(count));
      hot.push_back(hot_time / (tokens == 1 ? 4 : 1));
      share.push_back(read_time / time);
    }
    result.seconds = median(kernel);
    result.read_seconds = median(read);
    result.hot_seconds = *std::ranges::min_element(hot);
    result.share_of_read = median(share);
    return result;
  }

 private:
  // Pieces of the same number as those of the product, so that both pay for starting threads.
  void read_all(const std::vector<std::byte>& bytes, ThreadPool& pool) {
    const auto size = static_cast<int64_t>(bytes.size());
    constexpr int64_t kPieces = 32;
    std::vector<uint64_t> sums(kPieces);
    pool.parallel_for(kPieces, [&](int64_t piece) {
      const int64_t begin = size * piece / kPieces;
      const int64_t end = size * (piece + 1) / kPieces;
      sums[static_cast<size_t>(piece)] = sum_of(bytes.data() + begin, end - begin);
    });
    for (const uint64_t sum : sums) keep_ = keep_ + sum;
  }

  const Copies& copies_of(const Case& what, const Shape& shape, Context& context) {
    const std::string name =
        fmt::format("{} {} {} {}", what.label(), what.layout, shape.rows, shape.cols);
    if (name != name_) {
      copies_.reset();  // before the next ones are made
      const PackedMatrix matrix = make_packed(what, shape, context);
      copies_ = std::make_unique<Copies>(matrix, cycled_bytes_);
      name_ = name;
    }
    return *copies_;
  }

  int64_t cycled_bytes_;
  int repeats_;
  std::string name_;
  std::unique_ptr<Copies> copies_;
  volatile uint64_t keep_ = 0;
};

void print(const Result& r) {
  const double rate = static_cast<double>(r.bytes) / r.seconds * 1e-9;
  const double operations =
      2.0 * static_cast<double>(r.shape.rows * r.shape.cols * r.tokens) / r.seconds * 1e-9;
  fmt::print("{:22} {:5} {:5}x{:<6} {:>7} {:>7} {:>10.1f} {:>8.1f} {:>8.0f}% {:>8.0f}% {:>9.1f}\n",
             r.what.label(), r.inputs, r.shape.rows, r.shape.cols, r.threads, r.tokens,
             r.seconds * 1e6, rate, 100 * r.share_of_read,
             100 * r.share_of_read * r.seconds / r.hot_seconds, operations);
  std::fflush(stdout);
}

nlohmann::json to_json(const Result& r) {
  return {{"weights", r.what.label()},
          {"inputs", r.inputs},
          {"rows", r.shape.rows},
          {"cols", r.shape.cols},
          {"threads", r.threads},
          {"tokens", r.tokens},
          {"bytes", r.bytes},
          {"seconds", r.seconds},
          {"hot_seconds", r.hot_seconds},
          {"read_seconds", r.read_seconds},
          {"share_of_read", r.share_of_read}};
}

/// How much faster than dense int4, as a share of how many fewer bytes.
void print_ratios(const std::vector<Result>& results) {
  for (const Result& sparse : results) {
    if (sparse.what.label() != "int4:g128 2:4" || sparse.tokens != 1) continue;
    for (const Result& dense : results) {
      if (dense.what.label() != "int4:g128" || dense.tokens != 1 || dense.inputs != sparse.inputs ||
          dense.threads != sparse.threads || dense.shape.rows != sparse.shape.rows ||
          dense.shape.cols != sparse.shape.cols) {
        continue;
      }
      const double bytes = static_cast<double>(dense.bytes) / static_cast<double>(sparse.bytes);
      fmt::print("2:4 over dense int4:g128, {} x {}, {} thread(s): {:.2f} of the ratio of bytes\n",
                 dense.shape.rows, dense.shape.cols, dense.threads,
                 dense.seconds / sparse.seconds / bytes);
    }
  }
}

}  // namespace
}  // namespace scant

int main(int argc, char** argv) {
  using namespace scant;
  CLI::App app("Products of packed weights against read bandwidth");
  int64_t megabytes = 256;
  int repeats = 5;
  std::vector<int> threads = {1, 2};
  std::vector<int64_t> tokens = {1, 256};
  std::vector<int64_t> columns = {4096, 11008};
  int64_t rows = 4096;
  std::string json_file, only, isa;
  bool floats = false;
  app.add_option("--rows", rows)->check(CLI::Range(128, 1 << 20));
  app.add_option("--cols", columns);
  app.add_option("--tokens", tokens);
  app.add_option("--threads", threads);
  app.add_option("--megabytes", megabytes, "of distinct copies that weights are cycled over");
  app.add_option("--repeats", repeats)->check(CLI::Range(1, 1000));
  app.add_option("--only", only, "formats whose name contains this");
  app.add_option("--isa", isa, "portable, avx2, avx512 or avx512vnni instead of the best");
  app.add_flag("--floats", floats, "inputs as float32 instead of int8");
  app.add_option("--json", json_file, "write the results there");
  CLI11_PARSE(app, argc, argv);
  try {
    if (!isa.empty()) {
      const auto parsed = parse_isa(isa);
      if (!parsed) throw Error("--isa", "unknown instruction set " + isa);
      limit_isa(*parsed);
    }
    Bench bench(megabytes << 20, repeats);
    std::vector<Result> results;
    fmt::print("{}\n{:22} {:5} {:12} {:>7} {:>7} {:>10} {:>8} {:>9} {:>9} {:>9}\n",
               packed_matmul_kernel(), "weights", "in", "shape", "threads", "tokens", "us", "GB/s",
               "of read", "hot", "GOP/s");
    for (const int64_t cols : columns) {
      for (const Case& what : all_cases()) {
        if (what.label().find(only) == std::string::npos) continue;
        for (const int64_t count : tokens) {
          for (const int n : threads) {
            results.push_back(bench.run(what, {rows, cols}, n, count, floats));
            print(results.back());
          }
        }
      }
#ifdef SCANT_BENCH_ONEDNN
      for (const int64_t count : tokens) {
        if (count == 1) continue;
        for (const int n : threads) {
          const double seconds = onednn_u8s8_seconds(count, rows, cols, n, repeats);
          fmt::print("{:22} {:5} {:5}x{:<6} {:>7} {:>7} {:>10.1f} {:>8} {:>9} {:>9} {:>9.1f}\n",
                     "oneDNN u8s8", "", rows, cols, n, count, seconds * 1e6, "", "", "",
                     2e-9 * static_cast<double>(rows * cols * count) / seconds);
        }
      }
#endif
    }
    print_ratios(results);
    if (!json_file.empty()) {
      nlohmann::json json = nlohmann::json::array();
      for (const Result& result : results) json.push_back(to_json(result));
      std::ofstream file(json_file);
      file << nlohmann::json{{"benchmark", "packed_matmul"},
                             {"isa", isa_name(active_isa())},
                             {"results", json}}
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
