#include "evaluate/tensor_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <mutex>

namespace scant {
namespace {

struct NofM {
  int64_t keep;
  int64_t of;
  const char* name;
};
// The sparsest first; a satisfied pattern implies denser ones of the same group size.
constexpr std::array kPatterns = {NofM{1, 8, "1:8"}, NofM{1, 4, "1:4"}, NofM{2, 8, "2:8"},
                                  NofM{2, 4, "2:4"}, NofM{4, 8, "4:8"}, NofM{8, 16, "8:16"},
                                  NofM{1, 2, "1:2"}, NofM{3, 4, "3:4"}};

/// Sums over some rows. Pieces are added in order, so the result does not depend on threads.
struct Sums {
  double largest = 0;
  std::array<double, 5> moments{};  // count, x, x^2, x^3, x^4
  int64_t zeros = 0;
  int64_t not_finite = 0;
  std::array<bool, kPatterns.size()> satisfied;
  std::vector<double> channel_squares;

  explicit Sums(int64_t channels) : channel_squares(static_cast<size_t>(channels), 0.0) {
    satisfied.fill(true);
  }

  void add_row(std::span<const float> row, bool channels_along_row, size_t channel) {
    for (size_t c = 0; c < row.size(); ++c) {
      const double x = row[c];
      if (!std::isfinite(x)) {
        ++not_finite;
        continue;
      }
      const double square = x * x;
      largest = std::max(largest, std::abs(x));
      moments[0] += 1;
      moments[1] += x;
      moments[2] += square;
      moments[3] += square * x;
      moments[4] += square * square;
      zeros += x == 0.0 ? 1 : 0;
      channel_squares[channels_along_row ? c : channel] += square;
    }
  }

  /// N:M along a run of values `stride` apart.
  void check_patterns(const float* values, int64_t count, int64_t stride) {
    for (size_t p = 0; p < kPatterns.size(); ++p) {
      const auto [keep, of, name] = kPatterns[p];
      for (int64_t begin = 0; begin < count && satisfied[p]; begin += of) {
        int64_t kept = 0;
        for (int64_t i = begin; i < std::min(begin + of, count); ++i) {
          kept += values[i * stride] != 0.0f ? 1 : 0;
        }
        satisfied[p] = kept <= keep;
      }
    }
  }

  void add(const Sums& other) {
    largest = std::max(largest, other.largest);
    for (size_t i = 0; i < moments.size(); ++i) moments[i] += other.moments[i];
    zeros += other.zeros;
    not_finite += other.not_finite;
    for (size_t i = 0; i < satisfied.size(); ++i) satisfied[i] = satisfied[i] && other.satisfied[i];
    for (size_t i = 0; i < channel_squares.size(); ++i)
      channel_squares[i] += other.channel_squares[i];
  }
};

TensorStatistics finish(const Sums& sums) {
  TensorStatistics result;
  const double count = std::max(sums.moments[0], 1.0);
  const double mean = sums.moments[1] / count;
  const double m2 = sums.moments[2] / count;
  const double m3 = sums.moments[3] / count;
  const double m4 = sums.moments[4] / count;
  const double variance = std::max(0.0, m2 - mean * mean);
  const double fourth = m4 - 4 * mean * m3 + 6 * mean * mean * m2 - 3 * mean * mean * mean * mean;
  result.largest = sums.largest;
  result.mean = mean;
  result.deviation = std::sqrt(variance);
  result.kurtosis = variance > 0 ? fourth / (variance * variance) : 0;
  result.zeros = static_cast<double>(sums.zeros) / count;
  result.not_finite = sums.not_finite;
  for (size_t i = 0; i < kPatterns.size(); ++i) {
    if (sums.satisfied[i]) result.patterns.emplace_back(kPatterns[i].name);
  }
  if (!sums.channel_squares.empty()) {
    const auto largest = std::max_element(sums.channel_squares.begin(), sums.channel_squares.end());
    result.outlier_channel = largest - sums.channel_squares.begin();
    std::vector<double> sorted = sums.channel_squares;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2),
                     sorted.end());
    const double median = sorted[sorted.size() / 2];
    result.outlier_ratio = median > 0 ? std::sqrt(*largest / median) : 0;
  }
  return result;
}

}  // namespace

TensorStatistics tensor_statistics(const Checkpoint& checkpoint, const StoredTensor& tensor,
                                   bool transposed, Context& context) {
  const bool matrix = tensor.shape.size() >= 2;
  // A vector is one row: one value per file row, taken together.
  const int64_t rows = matrix ? tensor.rows() : 1;
  const int64_t cols = element_count(tensor.shape) / std::max<int64_t>(rows, 1);
  // Groups of N:M that run along the first dimension must not be cut: multiples of 16 rows.
  const int64_t step =
      std::max<int64_t>(16, (int64_t{1} << 20) / std::max<int64_t>(cols, 1) / 16 * 16);
  const int64_t pieces = (rows + step - 1) / step;
  const int64_t channels = transposed ? rows : cols;
  Sums total(channels);
  // A few pieces at a time: memory stays bounded, and they are added in order.
  const int64_t wave = 8;
  for (int64_t first = 0; first < pieces; first += wave) {
    const int64_t count = std::min(wave, pieces - first);
    std::vector<Sums> partial(static_cast<size_t>(count), Sums(channels));
    context.threads.parallel_for(count, [&](int64_t i) {
      Sums& sums = partial[static_cast<size_t>(i)];
      const int64_t begin = (first + i) * step;
      const int64_t piece_rows = std::min(step, rows - begin);
      std::vector<float> values(static_cast<size_t>(piece_rows * cols));
      checkpoint.read_rows(tensor, matrix ? begin : 0, matrix ? piece_rows : tensor.rows(), values);
      for (int64_t r = 0; r < piece_rows; ++r) {
        const std::span<const float> row(values.data() + r * cols, static_cast<size_t>(cols));
        sums.add_row(row, !transposed, static_cast<size_t>(begin + r));
        if (!transposed) sums.check_patterns(row.data(), cols, 1);
      }
      if (transposed) {
        for (int64_t c = 0; c < cols; ++c) sums.check_patterns(values.data() + c, piece_rows, cols);
      }
    });
    for (const Sums& sums : partial) total.add(sums);
  }
  TensorStatistics result = finish(total);
  if (!matrix) {  // channels and N:M patterns mean something for matrices only
    result.patterns.clear();
    result.outlier_channel = -1;
    result.outlier_ratio = 0;
  }
  return result;
}

}  // namespace scant
