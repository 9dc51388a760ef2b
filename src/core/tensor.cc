#include "core/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace scant {
namespace {

constexpr size_t kCacheLine = 64;
constexpr int64_t kCacheLineFloats = kCacheLine / sizeof(float);
constexpr int64_t kConflictingFloats = 1024 / sizeof(float);
constexpr size_t kHugePage = size_t{2} << 20;

/// Asked for, not relied on: a matrix whose rows are pages apart costs a miss of the translation
/// buffer per row and a fault per 4 KiB when it is first written.
void ask_for_huge_pages([[maybe_unused]] std::byte* data, [[maybe_unused]] size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(data, bytes, MADV_HUGEPAGE);
#endif
}

}  // namespace

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i != 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

Buffer::Buffer(size_t bytes, Stream stream) : bytes_(bytes), stream_(stream) {
  if (stream.device.kind != DeviceKind::kCpu) {
    throw Error("device", "this build has no CUDA support; expected the CPU");
  }
  if (bytes == 0) return;
  const bool large = bytes >= 2 * kHugePage;
  const Free free{std::align_val_t{large ? kHugePage : kCacheLine}};
  data_ = {static_cast<std::byte*>(::operator new(bytes, free.alignment)), free};
  if (large) ask_for_huge_pages(data_.get(), bytes);
}

void Buffer::Free::operator()(std::byte* data) const noexcept {
  ::operator delete(data, alignment);
}

void copy_rows(ConstMatrixView from, MatrixView to) {
  if (from.cols == 0 || from.data == to.data) return;
  for (int64_t r = 0; r < from.rows; ++r) std::copy_n(from.row(r), from.cols, to.row(r));
}

Matrix::Matrix(int64_t rows, int64_t cols)
    : buffer_(static_cast<size_t>(rows) * static_cast<size_t>(cols) * sizeof(float)),
      rows_(rows),
      cols_(cols) {}

Matrix Matrix::zeros(int64_t rows, int64_t cols) {
  Matrix result(rows, cols);
  if (result.size() != 0) std::memset(result.data(), 0, result.values().size_bytes());
  return result;
}

Matrix Matrix::copy_of(ConstMatrixView source) {
  Matrix result(source.rows, source.cols);
  copy_rows(source, result.view());
  return result;
}

PaddedMatrix::PaddedMatrix(int64_t rows, int64_t cols)
    : storage_(rows, cols % kConflictingFloats == 0 ? cols + kCacheLineFloats : cols),
      cols_(cols) {}

PaddedMatrix PaddedMatrix::copy_of(ConstMatrixView source) {
  PaddedMatrix result(source.rows, source.cols);
  copy_rows(source, result.view());
  return result;
}

}  // namespace scant
