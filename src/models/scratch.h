#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace scant {

/// Memory for the intermediate results of one sample in one stage. Kept between uses, so that pages
/// are touched for the first time only once.
class Scratch {
 public:
  /// The next matrix, uninitialised, valid until the lease ends.
  MatrixView take(int64_t rows, int64_t cols);
  /// The last `count` matrices taken are free again.
  void give_back(size_t count) { used_ -= count; }
  void reset() { used_ = 0; }

 private:
  std::vector<Buffer> buffers_;
  size_t used_ = 0;
};

/// As many Scratches as threads ever ran at once.
class ScratchPool {
 public:
  class Lease {
   public:
    Lease(ScratchPool& pool, std::unique_ptr<Scratch> scratch)
        : pool_(&pool), scratch_(std::move(scratch)) {}
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Scratch& operator*() const { return *scratch_; }

   private:
    ScratchPool* pool_;
    std::unique_ptr<Scratch> scratch_;
  };

  Lease lease();

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> free_;
};

}  // namespace scant
