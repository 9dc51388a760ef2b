#pragma once

#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/linear.h"

namespace scant {

/// A normalisation of the features of a token: which, and with which parameters.
struct NormSpec {
  enum class Kind : uint8_t { kRms, kLayer };
  Kind kind = Kind::kRms;
  float epsilon = 0;
  std::string weight;  ///< tensor; empty: 1
  std::string bias;    ///< tensor; empty: 0
};

/// The same with its parameters in memory.
class Norm {
 public:
  Norm(const NormSpec& spec, const WeightSource& weights);
  /// y may be x.
  void run(ConstMatrixView x, MatrixView y) const;

 private:
  NormSpec::Kind kind_;
  float epsilon_;
  std::vector<float> weight_;
  std::vector<float> bias_;
};

}  // namespace scant
