#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace scant {

/// An orthogonal matrix Q of order n that spreads every value over all others (QuaRot, Ashkboos et
/// al., arXiv 2404.00456): Q = D (S x B), D random signs, S Sylvester's Hadamard matrix of order
/// 2^k / sqrt(2^k), B of order b, n = 2^k b. B is 1 where n is a power of two, else a Hadamard
/// matrix of Paley's constructions / sqrt(b) if there is one of order b = 4 m, 8 m, ... (m the odd
/// part of n), else the Hartley matrix of order m, cos(2 pi i j / m) + sin(2 pi i j / m) over
/// sqrt(m), whose elements are at most sqrt(2 / m). A product costs n (k + b) operations a row.
class Rotation {
 public:
  static constexpr int64_t kLargestBase = 4096;

  /// Throws Error if n < 1 or its odd part is above kLargestBase and no Hadamard matrix is known.
  Rotation(int64_t size, uint64_t seed);
  int64_t size() const { return size_; }
  uint64_t seed() const { return seed_; }
  int64_t base() const { return base_.rows(); }  ///< b
  bool hadamard() const { return hadamard_; }    ///< every element is +-1 / sqrt(n)

  /// x = x Q, each row of n values. Single-threaded.
  void rotate_rows(MatrixView x) const;
  /// x = x Q^T: takes rotate_rows() back.
  void rotate_rows_back(MatrixView x) const;
  /// x = Q^T x, each column of n values: what a rotated output asks of a weight.
  void rotate_columns(MatrixView x) const;

 private:
  void check(ConstMatrixView x) const;

  int64_t size_;
  uint64_t seed_;
  bool hadamard_ = true;
  std::vector<float> signs_;  ///< times 1 / sqrt(2^k)
  Matrix base_;               ///< orthonormal
};

/// The Hadamard matrix of order n by Paley's first (n = q + 1, q prime, q = 3 mod 4) or second
/// construction (n = 2 (q + 1), q prime, q = 1 mod 4), elements +-1; empty where neither has one.
Matrix paley_hadamard(int64_t n);

}  // namespace scant
