#include "formats/quantized.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <utility>

#include "core/error.h"
#include "formats/best_scale.h"
#include "formats/block_codec.h"

namespace scant {
namespace {

using Kind = Granularity::Kind;

// Rows per piece of parallel work: fixed by the shape, so that results do not depend on threads.
int64_t rows_per_piece(int64_t cols) {
  constexpr int64_t kValues = 1 << 15;
  return std::max<int64_t>(1, kValues / std::max<int64_t>(cols, 1));
}

// Calls row(r) for every row, on all threads of the context or, without one, here.
template <typename Row>
void for_rows(int64_t rows, int64_t cols, Context* context, const Row& row) {
  if (context == nullptr) {
    for (int64_t r = 0; r < rows; ++r) row(r);
    return;
  }
  const int64_t step = rows_per_piece(cols);
  context->threads.parallel_for((rows + step - 1) / step, [&](int64_t piece) {
    const int64_t end = std::min(rows, (piece + 1) * step);
    for (int64_t r = piece * step; r < end; ++r) row(r);
  });
}

bool is_finite(std::span<const float> values) {
  uint32_t largest = 0;  // of the bits without sign: NaN and Inf are above every finite value
  for (const float value : values) {
    largest = std::max(largest, std::bit_cast<uint32_t>(value) & 0x7fffffffu);
  }
  return largest < 0x7f800000u;
}

void check_options(ConstMatrixView values, const NumberFormat& format,
                   const QuantizeOptions& options) {
  if (const Mask* mask = options.mask) {
    if (mask->rows != values.rows || mask->cols != values.cols) {
      throw Error("mask", fmt::format("{} x {} for a matrix of {} x {}", mask->rows, mask->cols,
                                      values.rows, values.cols));
    }
  }
  const auto importances = static_cast<int64_t>(options.importance.size());
  if (importances != 0 && importances != values.cols) {
    throw Error("importance",
                fmt::format("of {} columns for a matrix of {}", importances, values.cols));
  }
  if (const QuantizedMatrix* from = options.scales_from) {
    if (from->rows != values.rows || from->cols != values.cols) {
      throw Error("scales", fmt::format("of a {} x {} matrix for one of {} x {}", from->rows,
                                        from->cols, values.rows, values.cols));
    }
    if (from->format.element != format.element || from->format.granularity != format.granularity ||
        from->format.role != format.role) {
      throw Error("scales", fmt::format("of {} do not fit {}; expected the same element and "
                                        "granularity",
                                        from->format.spelling(), format.spelling()));
    }
  }
}

// Quantizes one matrix of one element family. The scales end in a QuantizedMatrix without codes;
// the codes go to a sink put(row, col, code, effective scale).
template <CodedElement T>
class MatrixCodec {
 public:
  MatrixCodec(const T& element, const NumberFormat& format, ConstMatrixView values,
              const QuantizeOptions& options, Context* context)
      : codec_(element, format), values_(values), options_(options), context_(context) {
    result_.format = format;
    result_.rows = values.rows;
    result_.cols = values.cols;
    if (const QuantizedMatrix* from = options.scales_from) {
      result_.scales = from->scales;
      result_.zero_points = from->zero_points;
      result_.offsets = from->offsets;
      result_.super_scales = from->super_scales;
      result_.tensor_scales = from->tensor_scales;
    } else {
      size_scales();
      if constexpr (kFromStatistics) choose_for_tensor();
    }
  }

  QuantizedMatrix& result() { return result_; }
  const BlockCodec<T>& codec() const { return codec_; }

  /// Chooses the scales of a row's blocks (unless they are given or shared by all rows), then
  /// calls put(col, code, effective scale) for its values.
  template <typename Put>
  void row(int64_t r, Put&& put) {
    const NumberFormat& format = result_.format;
    const bool choose = options_.scales_from == nullptr && format.granularity.kind != Kind::kTensor;
    if (choose) choose_for_row(r);
    const int64_t step =
        format.granularity.kind == Kind::kGroup ? format.granularity.size : values_.cols;
    for (int64_t begin = 0; begin < values_.cols; begin += step) {
      const Segment block = segment(r, begin, std::min(step, values_.cols - begin));
      const int64_t index = result_.block_of(r, begin);
      if constexpr (kFromStatistics) {
        if (choose) choose_block(r, index, block);
      }
      const BlockScale effective = result_.block_scale(r, index);
      const auto position = static_cast<uint64_t>(r * values_.cols + begin);
      const Dither dither{CounterRandom(options_.seed, options_.stream), position};
      codec_.encode_segment(block, effective, format.stochastic ? &dither : nullptr,
                            [&](int64_t i, uint8_t code) { put(begin + i, code, effective); });
    }
  }

 private:
  static constexpr bool kFromStatistics = ElementScaledByStatistics<T>;

  void size_scales() {
    const NumberFormat& format = result_.format;
    const auto blocks = static_cast<size_t>(format.block_count(values_.rows, values_.cols));
    result_.scales.resize(blocks);
    if (format.rules().zero_point) result_.zero_points.resize(blocks);
    result_.tensor_scales.resize(static_cast<size_t>(format.tensor_scale_count(values_.rows)));
    const SuperBlock* shape = format.super_block();
    if (shape == nullptr) return;
    if (shape->has_offsets) result_.offsets.resize(blocks);
    result_.super_scales.resize(
        static_cast<size_t>(format.scale_count(values_.rows, values_.cols)));
  }

  /// What is shared by all rows.
  void choose_for_tensor() {
    const NumberFormat& format = result_.format;
    if (options_.tensor_scale) {
      std::ranges::fill(result_.tensor_scales, *options_.tensor_scale);
    } else if (result_.tensor_scales.size() == 1 && format.role == Role::kWeight) {
      result_.tensor_scales[0] = codec_.tensor_scale(matrix_statistics().absmax());
    }
    if (format.granularity.kind == Kind::kTensor) choose_tensor_block();
  }

  /// What is chosen before the first block of a row.
  void choose_for_row(int64_t r) {
    if constexpr (kFromStatistics) {
      const bool own = result_.format.role == Role::kActivation && !options_.tensor_scale;
      if (own && !result_.tensor_scales.empty()) {
        const BlockStatistics whole = codec_.statistics(segment(r, 0, values_.cols));
        result_.tensor_scales[static_cast<size_t>(r)] = codec_.tensor_scale(whole.absmax());
      }
      const bool row = result_.format.granularity.kind == Kind::kRow;
      if (values_.cols == 0 && row) choose_block(r, r, {});
    } else {
      const int64_t step = codec_.element().super_block().values;
      for (int64_t begin = 0; begin < values_.cols; begin += step) choose_super_block(r, begin);
    }
  }

  void choose_super_block(int64_t r, int64_t begin) {
    const SuperBlock& shape = codec_.element().super_block();
    const Segment values = segment(r, begin, std::min(shape.values, values_.cols - begin));
    const SuperBlockScales chosen = codec_.element().search_scales(values);
    const int64_t first = result_.block_of(r, begin);
    result_.super_scales[static_cast<size_t>(result_.super_block_of(r, first))] = chosen.super;
    for (int64_t b = 0; b * shape.block < values.count; ++b) {
      const auto from = static_cast<size_t>(b), to = static_cast<size_t>(first + b);
      result_.scales[to] = static_cast<float>(chosen.scales[from]);
      if (shape.has_offsets) result_.offsets[to] = static_cast<float>(chosen.offsets[from]);
    }
  }

  Segment segment(int64_t r, int64_t begin, int64_t count) const {
    const uint8_t* keep = options_.mask != nullptr ? options_.mask->row(r) + begin : nullptr;
    const float* importance =
        options_.importance.empty() ? nullptr : options_.importance.data() + begin;
    return {values_.row(r) + begin, keep, count, importance};
  }

  float tensor_scale(int64_t r) const {
    if (result_.tensor_scales.empty()) return 1.0f;
    return result_.tensor_scales[result_.format.role == Role::kWeight ? 0 : static_cast<size_t>(r)];
  }

  void store(int64_t index, BlockScale scale) {
    result_.scales[static_cast<size_t>(index)] = scale.scale;
    if (!result_.zero_points.empty()) {
      result_.zero_points[static_cast<size_t>(index)] = scale.zero_point;
    }
  }

  bool searches() const { return result_.format.mse || !options_.importance.empty(); }

  void choose_block(int64_t r, int64_t index, const Segment& block) {
    store(index,
          best_scale(codec_, searches(), codec_.statistics(block), tensor_scale(r),
                     [&](BlockScale effective) { return codec_.squared_error(block, effective); }));
  }

  BlockStatistics matrix_statistics() const {
    std::vector<BlockStatistics> of_row(static_cast<size_t>(values_.rows));
    for_rows(values_.rows, values_.cols, context_, [&](int64_t r) {
      of_row[static_cast<size_t>(r)] = codec_.statistics(segment(r, 0, values_.cols));
    });
    BlockStatistics all;
    for (const BlockStatistics& one : of_row) merge(all, one);
    return all;
  }

  void choose_tensor_block() {
    std::vector<double> of_row(static_cast<size_t>(values_.rows));
    const auto error = [&](BlockScale effective) {
      for_rows(values_.rows, values_.cols, context_, [&](int64_t r) {
        of_row[static_cast<size_t>(r)] =
            codec_.squared_error(segment(r, 0, values_.cols), effective);
      });
      double sum = 0.0;
      for (const double one : of_row) sum += one;
      return sum;
    };
    store(0, best_scale(codec_, searches(), matrix_statistics(), 1.0f, error));
  }

  BlockCodec<T> codec_;
  ConstMatrixView values_;
  const QuantizeOptions& options_;
  Context* context_;
  QuantizedMatrix result_;
};

template <UncodedElement T>
void round_row(const T& element, std::span<const float> values, const uint8_t* keep, float* out) {
  for (size_t i = 0; i < values.size(); ++i) {
    out[i] = keep == nullptr || keep[i] != 0 ? element.round(values[i]) : 0.0f;
  }
}

}  // namespace

void check_finite(ConstMatrixView values, Context* context) {
  std::atomic<int64_t> first_bad_row = values.rows;
  for_rows(values.rows, values.cols, context, [&](int64_t r) {
    if (is_finite(values.row_span(r))) return;
    int64_t seen = first_bad_row.load();
    while (r < seen && !first_bad_row.compare_exchange_weak(seen, r)) {
    }
  });
  const int64_t r = first_bad_row.load();
  if (r == values.rows) return;
  int64_t c = 0;
  while (is_finite({values.row(r) + c, 1})) ++c;
  throw Error("", fmt::format("the value at row {}, column {} is {}; expected finite values", r, c,
                              std::isnan(values(r, c)) ? "NaN" : "infinite"));
}

int64_t QuantizedMatrix::blocks_per_row() const {
  const bool in_rows =
      format.granularity.kind == Kind::kRow || format.granularity.kind == Kind::kGroup;
  return in_rows ? format.block_count(1, cols) : 0;
}

int64_t QuantizedMatrix::block_of(int64_t row, int64_t col) const {
  const int64_t group = format.granularity.kind == Kind::kGroup ? col / format.granularity.size : 0;
  return row * blocks_per_row() + group;
}

BlockScale QuantizedMatrix::block_scale(int64_t row, int64_t block) const {
  const auto index = static_cast<size_t>(block);
  const BlockScale stored{scales[index], zero_points.empty() ? 0 : zero_points[index],
                          offsets.empty() ? 0.0f : offsets[index]};
  if (!super_scales.empty()) {
    return effective_scale(stored, super_scales[static_cast<size_t>(super_block_of(row, block))]);
  }
  if (tensor_scales.empty()) return stored;
  return effective_scale(
      stored, tensor_scales[format.role == Role::kWeight ? 0 : static_cast<size_t>(row)]);
}

int64_t QuantizedMatrix::super_block_of(int64_t row, int64_t block) const {
  const int64_t in_row = block - row * blocks_per_row();
  return row * format.scale_count(1, cols) + in_row / format.blocks_per_scale();
}

QuantizedMatrix quantize(ConstMatrixView values, const NumberFormat& format,
                         const QuantizeOptions& options, Context& context) {
  check_options(values, format, options);
  check_finite(values, &context);
  return std::visit(
      [&]<typename T>(const T& element) -> QuantizedMatrix {
        if constexpr (UncodedElement<T>) {
          QuantizedMatrix result{.format = format, .rows = values.rows, .cols = values.cols};
          result.plain = Matrix(values.rows, values.cols);
          for_rows(values.rows, values.cols, &context, [&](int64_t r) {
            round_row(element, values.row_span(r), options.mask ? options.mask->row(r) : nullptr,
                      result.plain.row(r));
          });
          return result;
        } else {
          MatrixCodec<T> codec(element, format, values, options, &context);
          std::vector<uint8_t> codes(static_cast<size_t>(values.size()));
          for_rows(values.rows, values.cols, &context, [&](int64_t r) {
            uint8_t* out = codes.data() + r * values.cols;
            codec.row(r, [out](int64_t col, uint8_t code, BlockScale) { out[col] = code; });
          });
          codec.result().codes = std::move(codes);
          return std::move(codec.result());
        }
      },
      format.element);
}

void dequantize(const QuantizedMatrix& quantized, MatrixView out) {
  if (out.rows != quantized.rows || out.cols != quantized.cols) {
    throw Error("dequantize", fmt::format("a {} x {} matrix into one of {} x {}", quantized.rows,
                                          quantized.cols, out.rows, out.cols));
  }
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (UncodedElement<T>) {
          for (int64_t r = 0; r < out.rows; ++r) {
            std::copy_n(quantized.plain.row(r), out.cols, out.row(r));
          }
        } else {
          const BlockCodec<T> codec(element, quantized.format);
          const Granularity& granularity = quantized.format.granularity;
          const int64_t step = granularity.kind == Kind::kGroup ? granularity.size : out.cols;
          for (int64_t r = 0; r < out.rows; ++r) {
            const uint8_t* codes = quantized.codes.data() + r * out.cols;
            for (int64_t begin = 0; begin < out.cols; begin += step) {
              const int64_t end = begin + std::min(step, out.cols - begin);
              const BlockScale scale = quantized.block_scale(r, quantized.block_of(r, begin));
              for (int64_t c = begin; c < end; ++c) {
                const bool moved = !quantized.column_order.empty();
                const int64_t to = moved ? quantized.column_order[static_cast<size_t>(c)] : c;
                out(r, to) = codec.value(codes[c], scale);
              }
            }
          }
        }
      },
      quantized.format.element);
  if (quantized.column_factors.empty()) return;
  for (int64_t r = 0; r < out.rows; ++r) {
    for (int64_t c = 0; c < out.cols; ++c) {
      out(r, c) *= quantized.column_factors[static_cast<size_t>(c)];
    }
  }
}

void quantize_in_place(MatrixView values, const NumberFormat& format,
                       const QuantizeOptions& options) {
  check_options(values, format, options);
  check_finite(values, nullptr);
  std::visit(
      [&]<typename T>(const T& element) {
        if constexpr (UncodedElement<T>) {
          for (int64_t r = 0; r < values.rows; ++r) {
            round_row(element, values.row_span(r), options.mask ? options.mask->row(r) : nullptr,
                      values.row(r));
          }
        } else {
          MatrixCodec<T> codec(element, format, values, options, nullptr);
          for (int64_t r = 0; r < values.rows; ++r) {
            float* out = values.row(r);
            codec.row(r, [&](int64_t col, uint8_t code, BlockScale scale) {
              out[col] = codec.codec().value(code, scale);
            });
          }
        }
      },
      format.element);
}

}  // namespace scant
