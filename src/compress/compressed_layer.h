#pragma once

#include <optional>
#include <string>

#include "compress/refit/block_refit.h"
#include "core/content_store.h"
#include "formats/packed.h"
#include "methods/compressed_matrix.h"

namespace scant {

/// What is kept of one compressed weight until the folder is written.
struct CompressedLayer {
  Matrix values;  ///< outputs x inputs, simulated
  MatrixError error;
  std::optional<double> output_error;  ///< as CompressedMatrix::output_error
  int64_t kept = 0;                    ///< weights that are not pruned
  std::optional<PackedMatrix> packed;  ///< the same as it will be stored, where that is asked for

  /// `packing`: how it will be stored; null: not asked for.
  static CompressedLayer from(CompressedMatrix matrix, const PackedSpec* packing);
};

/// Finished layers of one job on disk, so that a killed run can go on. `job` spells everything that
/// a layer's result depends on besides its name.
class LayerStore {
 public:
  /// `packs`: results hold their packed matrix too.
  LayerStore(const ContentStore& store, std::string job, bool packs = false)
      : store_(store), job_(std::move(job)), packs_(packs) {}
  bool packs() const { return packs_; }
  /// Nothing if it is not there, damaged, or of another shape.
  std::optional<CompressedLayer> find(const std::string& layer, int64_t rows, int64_t cols) const;
  void put(const std::string& layer, const CompressedLayer& result) const;
  /// What the refit of a stage made of its vectors, and its errors.
  std::optional<RefitResult> find_refit(const std::string& stage) const;
  void put_refit(const std::string& stage, const RefitResult& result) const;

 private:
  const ContentStore& store_;
  std::string job_;
  bool packs_;
};

}  // namespace scant
