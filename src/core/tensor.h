#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace scant {

enum class DeviceKind : uint8_t { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

/// A sequence of operations on one device; work on a buffer is ordered by the stream that owns it.
/// On the CPU there is one stream, and everything on it has happened when a call returns.
struct Stream {
  Device device;
  void* handle = nullptr;
};

using Shape = std::vector<int64_t>;
int64_t element_count(const Shape& shape);
/// "[512, 256]"
std::string shape_text(const Shape& shape);

/// A tensor in memory that somebody else owns (usually a file map).
struct TensorView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  Device device;

  int64_t size() const { return element_count(shape); }
  size_t bytes() const { return static_cast<size_t>(size()) * dtype_size(dtype); }
};

/// Owned memory on a device, 64-byte aligned, allocated and freed in the order of its stream; in
/// huge pages where it is large and the system has them. Contents start uninitialised.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes, Stream stream = {});
  std::byte* data() const { return data_.get(); }
  size_t bytes() const { return bytes_; }
  const Stream& stream() const { return stream_; }

 private:
  struct Free {
    std::align_val_t alignment;
    void operator()(std::byte* data) const noexcept;
  };
  std::unique_ptr<std::byte[], Free> data_;
  size_t bytes_ = 0;
  Stream stream_;
};

/// A row-major float32 matrix that somebody else owns; `stride` floats from row to row.
template <typename T>
struct BasicMatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  BasicMatrixView() = default;
  BasicMatrixView(T* data_in, int64_t rows_in, int64_t cols_in)
      : BasicMatrixView(data_in, rows_in, cols_in, cols_in) {}
  BasicMatrixView(T* data_in, int64_t rows_in, int64_t cols_in, int64_t stride_in)
      : data(data_in), rows(rows_in), cols(cols_in), stride(stride_in) {}
  /// A mutable view is also a constant one.
  operator BasicMatrixView<const T>() const { return {data, rows, cols, stride}; }  // NOLINT

  T* row(int64_t r) const { return data + r * stride; }
  std::span<T> row_span(int64_t r) const { return {row(r), static_cast<size_t>(cols)}; }
  T& operator()(int64_t r, int64_t c) const { return data[r * stride + c]; }
  int64_t size() const { return rows * cols; }
  BasicMatrixView rows_from(int64_t begin, int64_t count) const {
    return {row(begin), count, cols, stride};
  }
  BasicMatrixView cols_from(int64_t begin, int64_t count) const {
    return {data + begin, rows, count, stride};
  }
};
using MatrixView = BasicMatrixView<float>;
using ConstMatrixView = BasicMatrixView<const float>;

/// Copies a matrix into another of its shape; they may be the same but not overlap otherwise.
void copy_rows(ConstMatrixView from, MatrixView to);

/// An owned row-major float32 matrix without padding. Contents start uninitialised.
class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols);
  static Matrix zeros(int64_t rows, int64_t cols);
  static Matrix copy_of(ConstMatrixView source);

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t size() const { return rows_ * cols_; }
  float* data() { return reinterpret_cast<float*>(buffer_.data()); }
  const float* data() const { return reinterpret_cast<const float*>(buffer_.data()); }
  MatrixView view() { return {data(), rows_, cols_}; }
  ConstMatrixView view() const { return {data(), rows_, cols_}; }
  std::span<float> values() { return {data(), static_cast<size_t>(size())}; }
  std::span<const float> values() const { return {data(), static_cast<size_t>(size())}; }
  float& operator()(int64_t r, int64_t c) { return data()[r * cols_ + c]; }
  float operator()(int64_t r, int64_t c) const { return data()[r * cols_ + c]; }
  float* row(int64_t r) { return data() + r * cols_; }
  const float* row(int64_t r) const { return data() + r * cols_; }
  std::span<float> row_span(int64_t r) { return {row(r), static_cast<size_t>(cols_)}; }
  std::span<const float> row_span(int64_t r) const { return {row(r), static_cast<size_t>(cols_)}; }

 private:
  Buffer buffer_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
};

/// An owned row-major float32 matrix for products that walk down its columns: where rows would lie
/// a multiple of 1 KiB apart, and so fall on the same few cache sets, it is a cache line more.
/// Contents start uninitialised.
class PaddedMatrix {
 public:
  PaddedMatrix() = default;
  PaddedMatrix(int64_t rows, int64_t cols);
  static PaddedMatrix copy_of(ConstMatrixView source);

  int64_t rows() const { return storage_.rows(); }
  int64_t cols() const { return cols_; }
  MatrixView view() { return {storage_.data(), rows(), cols_, storage_.cols()}; }
  ConstMatrixView view() const { return {storage_.data(), rows(), cols_, storage_.cols()}; }
  float& operator()(int64_t r, int64_t c) { return storage_(r, c); }
  float operator()(int64_t r, int64_t c) const { return storage_(r, c); }
  float* row(int64_t r) { return storage_.row(r); }
  const float* row(int64_t r) const { return storage_.row(r); }

 private:
  Matrix storage_;
  int64_t cols_ = 0;
};

}  // namespace scant
