#include "compress/refit/latent_weight.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "methods/orders.h"
#include "ops/simulate/simulate.h"

namespace scant {
namespace {

// A step is a share of a code up to 16 codes, of a sixteenth of the range beyond.
constexpr int kFinest = 15;
// So near to the border of a code the latent value may start.
constexpr float kBorder = 0.45f;

struct CodeRange {
  float smallest = 0, largest = 0;
  int64_t count = 0;
};

CodeRange range_of(const Element& element) {
  CodeRange range;
  std::visit(
      [&]<typename T>(const T& coded) {
        if constexpr (CodedElement<T>) {
          range = {coded.smallest(), coded.largest(), static_cast<int64_t>(coded.codes().size())};
        }
      },
      element);
  return range;
}

/// What one step of a 4-bit code would be for normally distributed weights of this row.
float plain_unit(std::span<const float> values) {
  double squares = 0;
  int64_t kept = 0;
  for (const float v : values) {
    squares += static_cast<double>(v) * v;
    kept += v != 0 ? 1 : 0;
  }
  constexpr double kStepOfDeviation = 0.36;
  return kept == 0 ? 0.0f
                   : static_cast<float>(kStepOfDeviation *
                                        std::sqrt(squares / static_cast<double>(kept)));
}

float nearest_stored_scale(double wanted, ScaleStorage storage) {
  const float up = round_up_scale(wanted, storage);
  const float down = round_down_scale(wanted, storage);
  return wanted - down < up - wanted ? down : up;
}

}  // namespace

LatentWeight::LatentWeight(ConstMatrixView dense, const CompressedMatrix& compressed,
                           Context& context)
    : mask_(compressed.mask),
      position_(Matrix::zeros(dense.rows, dense.cols)),
      position_moments_(static_cast<size_t>(dense.size())) {
  if (compressed.quantized && !compressed.quantized->format.is_plain()) {
    const QuantizedMatrix& from = *compressed.quantized;
    grid_ = QuantizedMatrix{.format = from.format,
                            .rows = from.rows,
                            .cols = from.cols,
                            .codes = {},
                            .scales = from.scales,
                            .zero_points = from.zero_points,
                            .offsets = from.offsets,
                            .super_scales = from.super_scales,
                            .tensor_scales = from.tensor_scales,
                            .column_factors = from.column_factors,
                            .plain = {}};
    const CodeRange range = range_of(grid_->format.element);
    smallest_ = range.smallest;
    largest_ = range.largest;
    unit_ = (largest_ - smallest_) /
            static_cast<float>(std::min<int64_t>(kFinest, std::max<int64_t>(1, range.count - 1)));
    start_scales_ = grid_->scales;
    fit_scales_ = grid_->format.scale_storage != ScaleStorage::kE8M0 &&
                  grid_->super_scales.empty();  // integers are too coarse for steps
    log_scales_.assign(start_scales_.size(), 0.0f);
    scale_moments_ = AdamMoments(start_scales_.size());
  } else {
    for (int64_t r = 0; r < dense.rows; ++r) {
      start_scales_.push_back(plain_unit(compressed.values.row_span(r)));
    }
  }
  const int64_t segments = (dense.cols + segment_width() - 1) / segment_width();
  segment_slopes_.resize(static_cast<size_t>(dense.rows * segments));
  start_from(dense, compressed, context);
  start_ = Matrix::copy_of(position_.view());
}

int64_t LatentWeight::segment_width() const {
  const bool grouped = grid_ && grid_->format.granularity.kind == Granularity::Kind::kGroup;
  return std::max<int64_t>(1, grouped ? grid_->format.granularity.size : position_.cols());
}

float LatentWeight::scale_at(int64_t row, int64_t col) const {
  if (!grid_) return start_scales_[static_cast<size_t>(row)];
  return grid_->block_scale(row, grid_->block_of(row, col)).scale;
}

float LatentWeight::offset_at(int64_t row, int64_t col) const {
  return grid_ ? grid_->block_scale(row, grid_->block_of(row, col)).offset : 0.0f;
}

float LatentWeight::factor_at(int64_t col) const {
  const bool has_factors = grid_ && !grid_->column_factors.empty();
  return has_factors ? grid_->column_factors[static_cast<size_t>(col)] : 1.0f;
}

void LatentWeight::start_from(ConstMatrixView dense, const CompressedMatrix& compressed,
                              Context& context) {
  for (int64_t r = 0; r < dense.rows; ++r) {
    for (int64_t begin = 0; begin < dense.cols; begin += segment_width()) {
      const float scale = scale_at(r, begin);
      if (scale == 0) continue;
      const float offset = offset_at(r, begin);
      const int64_t end = std::min(dense.cols, begin + segment_width());
      for (int64_t c = begin; c < end; ++c) {
        if (mask_ && (*mask_)(r, c) == 0) continue;
        const float from = offset * factor_at(c);
        const float code = (compressed.values(r, c) - from) / (scale * factor_at(c));
        const float wanted = (dense(r, c) - from) / (scale * factor_at(c));
        const float reach = kBorder * unit_;
        position_(r, c) = grid_ ? std::clamp(wanted, code - reach, code + reach) : code;
      }
    }
  }
  if (!grid_) return;
  // Where codes are not evenly spaced the border can be nearer.
  Matrix rounded(dense.rows, dense.cols);
  evaluate(rounded.view(), context);
  for (int64_t r = 0; r < dense.rows; ++r) {
    for (int64_t c = 0; c < dense.cols; ++c) {
      if (rounded(r, c) == compressed.values(r, c)) continue;
      const float scale = scale_at(r, c) * factor_at(c);
      const float scaled = compressed.values(r, c) - offset_at(r, c) * factor_at(c);
      if (scale != 0) position_(r, c) = scaled / scale;
    }
  }
}

void LatentWeight::evaluate(MatrixView values, Context& context) {
  if (grid_ && fit_scales_) {
    for (size_t i = 0; i < start_scales_.size(); ++i) {
      if (log_scales_[i] == 0) continue;
      grid_->scales[i] =
          nearest_stored_scale(start_scales_[i] * std::exp(static_cast<double>(log_scales_[i])),
                               grid_->format.scale_storage);
    }
  }
  const RowPieces pieces(values.rows, values.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      for (int64_t begin = 0; begin < values.cols; begin += segment_width()) {
        const float scale = scale_at(r, begin), offset = offset_at(r, begin);
        const int64_t end = std::min(values.cols, begin + segment_width());
        for (int64_t c = begin; c < end; ++c) {
          values(r, c) = position_(r, c) * (scale * factor_at(c)) + offset * factor_at(c);
        }
      }
    }
  });
  const Mask* mask = mask_ ? &*mask_ : nullptr;
  if (grid_) *grid_ = codes_on_grid(*grid_, mask, values, context);
}

void LatentWeight::move_row(int64_t row, ConstMatrixView values, ConstMatrixView gradient,
                            const LatentStep& step) {
  const int64_t width = segment_width();
  const int64_t segments = (values.cols + width - 1) / width;
  const uint8_t* keep = mask_ ? mask_->row(row) : nullptr;
  const auto first = static_cast<size_t>(row * values.cols);
  float* position = position_.row(row);
  const float* start = start_.row(row);
  for (int64_t begin = 0; begin < values.cols; begin += width) {
    const float scale = scale_at(row, begin);
    float lowest = smallest_, highest = largest_;
    if (grid_) {
      const int32_t zero = grid_->block_scale(row, grid_->block_of(row, begin)).zero_point;
      lowest -= static_cast<float>(zero);
      highest -= static_cast<float>(zero);
    }
    double slope = 0;
    const int64_t end = std::min(values.cols, begin + width);
    for (int64_t c = begin; c < end; ++c) {
      if (keep != nullptr && keep[c] == 0) continue;
      const float g = gradient(row, c);
      slope += static_cast<double>(g) * values(row, c);
      position[c] += unit_ * position_moments_.change(first + static_cast<size_t>(c),
                                                      g * scale * factor_at(c), step.codes);
      position[c] -= step.pull * (position[c] - start[c]);
      if (grid_) position[c] = std::clamp(position[c], lowest, highest);
    }
    segment_slopes_[static_cast<size_t>(row * segments + begin / width)] =
        static_cast<float>(slope);
  }
}

void LatentWeight::move_scales(const AdamStep& step) {
  if (log_scales_.size() == segment_slopes_.size()) {
    for (size_t i = 0; i < log_scales_.size(); ++i) {
      log_scales_[i] += scale_moments_.change(i, segment_slopes_[i], step);
    }
    return;
  }
  double slope = 0;  // one scale for the whole matrix
  for (const float part : segment_slopes_) slope += part;
  log_scales_[0] += scale_moments_.change(0, static_cast<float>(slope), step);
}

void LatentWeight::step(ConstMatrixView values, ConstMatrixView gradient, const LatentStep& step,
                        Context& context) {
  const RowPieces pieces(values.rows, values.cols);
  context.threads.parallel_for(pieces.count(), [&](int64_t piece) {
    for (int64_t r = pieces.begin(piece); r < pieces.end(piece); ++r) {
      move_row(r, values, gradient, step);
    }
  });
  if (grid_ && fit_scales_) move_scales(step.scales);
}

void LatentWeight::store(ConstMatrixView values, CompressedMatrix& compressed) && {
  compressed.values = Matrix::copy_of(values);
  if (grid_) compressed.quantized = std::move(grid_);
}

}  // namespace scant
