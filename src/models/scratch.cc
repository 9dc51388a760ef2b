#include "models/scratch.h"

namespace scant {

MatrixView Scratch::take(int64_t rows, int64_t cols) {
  const size_t bytes = static_cast<size_t>(rows) * static_cast<size_t>(cols) * sizeof(float);
  if (used_ == buffers_.size()) buffers_.emplace_back();
  Buffer& buffer = buffers_[used_++];
  if (buffer.bytes() < bytes) {
    buffer = Buffer();  // freed first: the two never exist together
    buffer = Buffer(bytes);
  }
  return {reinterpret_cast<float*>(buffer.data()), rows, cols};
}

ScratchPool::Lease ScratchPool::lease() {
  std::unique_ptr<Scratch> scratch;
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      scratch = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!scratch) scratch = std::make_unique<Scratch>();
  scratch->reset();
  return {*this, std::move(scratch)};
}

ScratchPool::Lease::~Lease() {
  const std::lock_guard lock(pool_->mutex_);
  pool_->free_.push_back(std::move(scratch_));
}

}  // namespace scant
