#include "models/linear.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <utility>

#include "ops/gemm.h"

namespace scant {
namespace {

/// Outputs [begin, begin + count) of a layer.
struct Piece {
  int64_t begin, count;
};

void add_dense(const DenseTerm& term, MatrixView sum) {
  for (int64_t r = 0; r < sum.rows; ++r) {
    for (int64_t c = 0; c < sum.cols; ++c) sum(r, c) += term.weight(r, c);
  }
}

/// In which its weight takes inputs; empty: as they are.
std::span<const int32_t> column_order(const PackedTerm& term) {
  return term.weight->matrix().column_order();
}

void add_dense(const PackedTerm& term, MatrixView sum) {
  Matrix row(1, sum.cols);
  const auto order = column_order(term);
  for (int64_t r = 0; r < sum.rows; ++r) {
    term.weight->decode_rows(r, row.view());
    for (int64_t c = 0; c < sum.cols; ++c) {
      sum(r, order.empty() ? c : order[static_cast<size_t>(c)]) += row(0, c);
    }
  }
}

void add_bias(std::span<const float> bias, MatrixView y) {
  for (int64_t r = 0; r < y.rows; ++r) {
    float* row = y.row(r);
    for (int64_t c = 0; c < y.cols; ++c) row[c] += bias[static_cast<size_t>(c)];
  }
}

void fill_with_bias(std::span<const float> bias, MatrixView y) {
  for (int64_t r = 0; r < y.rows; ++r) std::memcpy(y.row(r), bias.data(), bias.size_bytes());
}

/// A layer's work: what it reads, what it writes.
struct Job {
  const LinearLayer* layer;
  ConstMatrixView x;  ///< quantized already
  MatrixView y;
  LinearOutput output = LinearOutput::kAssign;
  const PreparedInputs* prepared = nullptr;  ///< the same for packed terms
};

bool is_packed(const LinearTerm& term) { return std::holds_alternative<PackedTerm>(term); }

void add_term(const DenseTerm& term, const Job& job, Piece piece, bool adds) {
  const MatrixView y = job.y.cols_from(piece.begin, piece.count);
  gemm(job.x, term.weight.view().rows_from(piece.begin, piece.count), y,
       {.b = Transpose::kYes, .beta = adds ? 1.0f : 0.0f});
}

void add_term(const PackedTerm& term, const Job& job, Piece piece, bool adds) {
  packed_matmul(*term.weight, *job.prepared, {piece.begin, piece.begin + piece.count}, job.y,
                adds ? MatmulOutput::kAdd : MatmulOutput::kAssign);
}

// The outputs `piece` of a layer.
void sum_terms(const Job& job, Piece piece) {
  const MatrixView y = job.y.cols_from(piece.begin, piece.count);
  bool adds = job.output == LinearOutput::kAdd;
  if (!job.layer->bias.empty()) {
    const auto bias =
        std::span(job.layer->bias)
            .subspan(static_cast<size_t>(piece.begin), static_cast<size_t>(piece.count));
    adds ? add_bias(bias, y) : fill_with_bias(bias, y);
    adds = true;
  }
  for (const LinearTerm& term : job.layer->terms) {
    std::visit([&](const auto& t) { add_term(t, job, piece, adds); }, term);
    adds = true;
  }
}

/// Inputs as packed terms want them: once for all jobs that read the same ones alike.
class PreparedPool {
 public:
  void prepare(std::span<Job> jobs) {
    for (Job& job : jobs) {
      if (job.prepared != nullptr || !std::ranges::any_of(job.layer->terms, is_packed)) continue;
      std::vector<const MatmulWeight*> readers;
      PreparedInputs& inputs = pool_.emplace_back();
      const auto order = order_of(*job.layer);
      for (Job& other : jobs) {
        if (other.x.data != job.x.data || mode(other) != mode(job)) continue;
        if (!std::ranges::equal(order_of(*other.layer), order)) continue;
        other.prepared = &inputs;
        for (const LinearTerm& term : other.layer->terms) {
          if (const auto* packed = std::get_if<PackedTerm>(&term)) {
            readers.push_back(packed->weight.get());
          }
        }
      }
      const ConstMatrixView x = order.empty() ? job.x : gathered(job.x, order);
      if (mode(job) == PackedInputs::kFloat) {
        inputs.set_floats(x);
      } else {
        inputs.set_int8(x, readers);
      }
    }
  }

 private:
  static PackedInputs mode(const Job& job) {
    return job.layer->activation ? PackedInputs::kFloat : job.layer->packed_inputs;
  }
  /// That of its packed terms, which share it.
  static std::span<const int32_t> order_of(const LinearLayer& layer) {
    const auto term = std::ranges::find_if(layer.terms, is_packed);
    if (term == layer.terms.end()) return {};
    return column_order(std::get<PackedTerm>(*term));
  }
  ConstMatrixView gathered(ConstMatrixView x, std::span<const int32_t> order) {
    Matrix& copy = gathered_.emplace_back(x.rows, x.cols);
    for (int64_t r = 0; r < x.rows; ++r) {
      float* to = copy.row(r);
      for (const int32_t column : order) *to++ = x.row(r)[column];
    }
    return copy.view();
  }
  std::deque<PreparedInputs> pool_;  // which stay where they are
  std::deque<Matrix> gathered_;      // these, too
};

// Outputs that one thread computes at a time: for one token enough weights to be worth a wake-up
// and to be read as a stream, but few enough that threads end together; for many enough that the
// product does not pack its inputs too often. Products with packed weights begin at multiples of
// matmul_unit().
int64_t piece_size(const LinearLayer& layer, int64_t tokens) {
  constexpr int64_t kLeast = 1 << 15, kMost = 1 << 19, kPieces = 32;
  const int64_t weights =
      std::clamp(layer.info.outputs * layer.info.inputs / kPieces, kLeast, kMost);
  constexpr int64_t kFewTokens = 8;
  constexpr int64_t kUnit = 16;
  const bool packed = std::ranges::any_of(layer.terms, is_packed);
  const int64_t unit = packed ? matmul_unit(tokens) : tokens > kFewTokens ? kMatmulPiece : kUnit;
  const int64_t rows = weights / std::max<int64_t>(1, layer.info.inputs) / unit * unit;
  return std::max(rows, unit);
}

// With few tokens each thread first takes so many outputs, which it reads as one stream: what is
// asked for ahead is then read by the same core. The rest, in small pieces, lets threads end
// together. Only of packed weights: what dense products round to may depend on their pieces, which
// may not depend on the number of threads.
int64_t large_piece(const LinearLayer& layer, int64_t tokens, int threads) {
  if (tokens >= kMatmulManyTokens || !std::ranges::all_of(layer.terms, is_packed)) return 0;
  const int64_t unit = matmul_unit(tokens);
  return layer.info.outputs * 7 / 8 / threads / unit * unit;
}

void run_jobs(std::span<Job> jobs, ThreadPool* threads) {
  PreparedPool pool;
  pool.prepare(jobs);
  if (threads == nullptr) {
    for (const Job& job : jobs) sum_terms(job, {0, job.layer->info.outputs});
    return;
  }
  std::vector<std::pair<const Job*, Piece>> pieces;
  for (const Job& job : jobs) {
    const int64_t outputs = job.layer->info.outputs;
    const int64_t step = piece_size(*job.layer, job.x.rows);
    int64_t begin = 0;
    for (const int64_t large = large_piece(*job.layer, job.x.rows, threads->size());
         large > step && begin < large * threads->size(); begin += large) {
      pieces.push_back({&job, {begin, large}});
    }
    for (; begin < outputs; begin += step) {
      pieces.push_back({&job, {begin, std::min(step, outputs - begin)}});
    }
  }
  threads->parallel_for(static_cast<int64_t>(pieces.size()), [&](int64_t i) {
    const auto& [job, piece] = pieces[static_cast<size_t>(i)];
    sum_terms(*job, piece);
  });
}

Matrix quantized_copy(ConstMatrixView x, const InputQuantization& quantization) {
  Matrix copy(x.rows, x.cols);
  quantization.apply(x, copy.view());
  return copy;
}

}  // namespace

Matrix dense_weight(LinearLayer layer) {
  if (layer.terms.size() == 1) {
    if (auto* dense = std::get_if<DenseTerm>(&layer.terms.front())) return std::move(dense->weight);
  }
  Matrix sum = Matrix::zeros(layer.info.outputs, layer.info.inputs);
  for (const LinearTerm& term : layer.terms) {
    std::visit([&](const auto& t) { add_dense(t, sum.view()); }, term);
  }
  return sum;
}

void linear(const LinearLayer& layer, ConstMatrixView x, MatrixView y, LinearOutput output,
            ThreadPool* threads) {
  Matrix input;
  if (layer.activation) {
    input = quantized_copy(x, *layer.activation);
    x = input.view();
  }
  Job job = {&layer, x, y, output};
  run_jobs(std::span(&job, 1), threads);
}

void linear_shared(std::span<const LinearLayer> layers, ConstMatrixView x,
                   std::span<const MatrixView> ys, ThreadPool* threads) {
  const InputQuantization* quantization = nullptr;  // of what the last of `inputs` holds
  std::deque<Matrix> inputs;                        // which stay where they are
  std::vector<Job> jobs;
  for (size_t i = 0; i < layers.size(); ++i) {
    const LinearLayer& layer = layers[i];
    if (!layer.activation) {
      jobs.push_back({&layer, x, ys[i]});
      continue;
    }
    if (quantization == nullptr || !layer.activation->same_as(*quantization)) {
      inputs.push_back(quantized_copy(x, *layer.activation));
      quantization = &*layer.activation;
    }
    jobs.push_back({&layer, std::as_const(inputs.back()).view(), ys[i]});
  }
  run_jobs(jobs, threads);
}

}  // namespace scant
