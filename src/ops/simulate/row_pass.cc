#include "ops/simulate/row_pass.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <numeric>
#include <vector>

#include "core/cpu.h"
#include "formats/best_scale.h"
#include "formats/block_codec.h"
#include "ops/quantize/table.h"
#include "ops/sparsify/table.h"

namespace scant {
namespace {

using Kind = Granularity::Kind;

constexpr int32_t kInfinityBits = 0x7f800000;
// Values per piece: input, scratch and output of one fit a 32 KiB cache.
constexpr int64_t kPieceValues = 2048;
// Values per unit of parallel work.
constexpr int64_t kChunkValues = 1 << 16;
// Results of this size are written past the caches, which saves reading their lines first.
constexpr int64_t kStreamBytes = int64_t{8} << 20;
constexpr uintptr_t kLine = 64;
// Pieces of a row whose errors are added up start at the first lane of LaneSum.
constexpr int64_t kErrorLanes = 8;

// The pieces of a row of `cols` values in blocks of `block` and groups of m.
int64_t piece_values(int64_t cols, int64_t block, int64_t m) {
  const int64_t unit = std::max<int64_t>(1, std::lcm(std::min(block, cols), m));
  if (block >= cols || unit >= cols) return cols;
  return std::min(cols, std::max<int64_t>(1, kPieceValues / unit) * unit);
}

bool is_line_aligned(const MatrixView& view) {
  return reinterpret_cast<uintptr_t>(view.data) % kLine == 0 &&
         static_cast<uintptr_t>(view.stride) * sizeof(float) % kLine == 0;
}

int64_t block_count(int64_t count, int64_t block) { return (count + block - 1) / block; }

}  // namespace

// What one thread needs between kernels, for one piece.
struct RowPass::Scratch {
  Scratch(int64_t values, int64_t blocks)
      : pruned(static_cast<size_t>(values)),
        simulated(static_cast<size_t>(values)),
        absmax_bits(static_cast<size_t>(blocks)),
        min(static_cast<size_t>(blocks)),
        max(static_cast<size_t>(blocks)),
        stored(static_cast<size_t>(blocks)),
        effective(static_cast<size_t>(blocks)),
        zero_points(static_cast<size_t>(blocks)) {}
  std::vector<float> pruned, simulated;
  std::vector<int32_t> absmax_bits;
  std::vector<float> min, max, stored, effective;
  std::vector<int32_t> zero_points;
};

struct RowPass::BlockScales {
  const float* effective;
  const int32_t* zero_points;
};

RowPass::RowPass(ConstMatrixView in, const Steps& steps, const Outputs& out)
    : in_(in), steps_(steps), out_(out) {
  const Isa isa = active_isa();
  block_ = in.cols;
  if (steps.plan != nullptr) {
    const Granularity& granularity = steps.plan->format().granularity;
    if (granularity.kind == Kind::kGroup) block_ = std::min(granularity.size, in.cols);
    one_scale_ = granularity.kind == Kind::kTensor;
    kernels_ = &steps.plan->kernels();
  } else {
    kernels_ = &select_quantize_kernels({.family = QuantizeGrid::Family::kUniform}, isa);
  }
  int64_t m = 1;
  if (steps.pattern != nullptr) {
    m = steps.pattern->m;
    prune_ = &select_n_of_m_kernels(steps.pattern->n, m, isa);
  }
  const bool shared = one_scale_ || steps.plan == nullptr;  // a piece needs no whole block
  const bool whole_rows = steps.plan != nullptr && steps.plan->two_level();
  piece_ = whole_rows ? in.cols : piece_values(in.cols, shared ? kErrorLanes : block_, m);
  if (shared) block_ = piece_;
  stream_ = out.values.data != in.data && is_line_aligned(out.values) &&
            out.values.size() * static_cast<int64_t>(sizeof(float)) >= kStreamBytes &&
            (piece_ == in.cols || piece_ * sizeof(float) % kLine == 0);
}

// Calls each(r, scratch) for every row; false as soon as one call was.
template <typename Each>
bool RowPass::for_rows(Context* context, const Each& each) const {
  const int64_t step = std::max<int64_t>(1, kChunkValues / std::max<int64_t>(1, in_.cols));
  std::atomic<bool> good = true;
  const auto chunk = [&](int64_t index) {
    Scratch scratch(piece_, block_count(piece_, block_));
    const int64_t end = std::min(in_.rows, (index + 1) * step);
    for (int64_t r = index * step; r < end; ++r) {
      if (!each(r, scratch)) good = false;
    }
  };
  const int64_t chunks = block_count(in_.rows, step);
  if (context != nullptr) {
    context->threads.parallel_for(chunks, chunk);
  } else {
    for (int64_t index = 0; index < chunks; ++index) chunk(index);
  }
  return good;
}

bool RowPass::run(Context* context) {
  size_outputs();
  if (steps_.plan != nullptr) {
    const bool two_level = steps_.plan->two_level();
    const bool per_matrix = steps_.plan->format().role == Role::kWeight;
    const bool needs_tensor = one_scale_ || (two_level && per_matrix);
    if (steps_.scales_from == nullptr && needs_tensor && !choose_for_tensor(context)) return false;
    if (steps_.scales_from != nullptr && two_level && per_matrix) {
      tensor_scale_ = steps_.scales_from->tensor_scales[0];
    }
  }
  return for_rows(context, [this](int64_t r, Scratch& scratch) { return run_row(r, scratch); });
}

void RowPass::size_outputs() {
  if (out_.keep != nullptr) {
    out_.keep->rows = in_.rows;
    out_.keep->cols = in_.cols;
    out_.keep->keep.resize(static_cast<size_t>(in_.size()));
  }
  if (out_.quantized == nullptr) return;
  QuantizedMatrix& quantized = *out_.quantized;
  const NumberFormat& format = steps_.plan->format();
  quantized.format = format;
  quantized.rows = in_.rows;
  quantized.cols = in_.cols;
  quantized.codes.resize(static_cast<size_t>(in_.size()));
  if (steps_.scales_from != nullptr) {
    quantized.scales = steps_.scales_from->scales;
    quantized.zero_points = steps_.scales_from->zero_points;
    quantized.tensor_scales = steps_.scales_from->tensor_scales;
    return;
  }
  const auto blocks = static_cast<size_t>(format.block_count(in_.rows, in_.cols));
  quantized.scales.resize(blocks);
  quantized.zero_points.resize(steps_.plan->has_zero_points() ? blocks : 0);
  quantized.tensor_scales.resize(static_cast<size_t>(format.tensor_scale_count(in_.rows)));
}

// The scale, or second-level scale, of the whole matrix: one more reading of it.
bool RowPass::choose_for_tensor(Context* context) {
  std::vector<BlockStatistics> of_row(static_cast<size_t>(in_.rows));
  const bool finite = for_rows(context, [&](int64_t r, Scratch& scratch) {
    return row_statistics(r, scratch, of_row[static_cast<size_t>(r)]);
  });
  if (!finite) return false;
  BlockStatistics all;
  for (const BlockStatistics& one : of_row) merge(all, one);
  if (!one_scale_) {
    tensor_scale_ = steps_.plan->tensor_scale(all.absmax());
    if (out_.quantized != nullptr) out_.quantized->tensor_scales[0] = tensor_scale_;
    return true;
  }
  std::vector<double> errors(static_cast<size_t>(in_.rows));
  tensor_block_ = best_scale(all, 1.0f, [&](BlockScale scale) {
    for_rows(context, [&](int64_t r, Scratch& scratch) {
      errors[static_cast<size_t>(r)] = row_error(r, scale, scratch);
      return true;
    });
    return std::accumulate(errors.begin(), errors.end(), 0.0);
  });
  if (out_.quantized != nullptr) {
    out_.quantized->scales[0] = tensor_block_.scale;
    if (steps_.plan->has_zero_points()) out_.quantized->zero_points[0] = tensor_block_.zero_point;
  }
  return true;
}

bool RowPass::run_row(int64_t r, Scratch& scratch) {
  const bool prune_last = steps_.pattern != nullptr && steps_.quantize_first;
  for (int64_t begin = 0; begin < in_.cols; begin += piece_) {
    const int64_t count = std::min(piece_, in_.cols - begin);
    float* out = out_.values.data != nullptr ? out_.values.row(r) + begin : nullptr;
    if (steps_.plan != nullptr) {
      const float* values = prepare(r, begin, count, scratch);
      if (values == nullptr) return false;
      float* simulated = prune_last ? scratch.simulated.data() : out;
      if (!quantize_piece(r, begin, count, values, simulated, scratch)) return false;
      if (!prune_last) continue;
    }
    const float* values = steps_.plan != nullptr ? scratch.simulated.data() : in_.row(r) + begin;
    if (steps_.plan == nullptr) {
      int32_t absmax_bits = 0;
      kernels_->ranges(values, count, count, {&absmax_bits, nullptr, nullptr});
      if (absmax_bits >= kInfinityBits) return false;
    }
    if (out == nullptr && out_.keep == nullptr) continue;  // only the check was wanted
    prune_->prune({.values = values,
                   .count = count,
                   .n = static_cast<int32_t>(steps_.pattern->n),
                   .m = static_cast<int32_t>(steps_.pattern->m),
                   .pruned = out,
                   .keep = out_.keep != nullptr ? out_.keep->row(r) + begin : nullptr,
                   .prefetch = next_piece(r, begin, count),
                   .stream = stream_});
  }
  return true;
}

// The values that are quantized: masked, pruned, or as they are. Null if one is not finite and
// would be hidden by the mask.
const float* RowPass::prepare(int64_t r, int64_t begin, int64_t count, Scratch& scratch) const {
  const float* values = in_.row(r) + begin;
  float* pruned = scratch.pruned.data();
  if (steps_.mask != nullptr) {
    int32_t absmax_bits = 0;
    kernels_->ranges(values, count, count, {&absmax_bits, nullptr, nullptr});
    if (absmax_bits >= kInfinityBits) return nullptr;
    const uint8_t* keep = steps_.mask->row(r) + begin;
    for (int64_t i = 0; i < count; ++i) {
      const float value = values[i];  // read in any case, which lets the loop become vectors
      pruned[i] = keep[i] != 0 ? value : 0.0f;
    }
    values = pruned;
  }
  if (steps_.pattern == nullptr || steps_.quantize_first) return values;
  prune_->prune({.values = values,
                 .count = count,
                 .n = static_cast<int32_t>(steps_.pattern->n),
                 .m = static_cast<int32_t>(steps_.pattern->m),
                 .pruned = pruned,
                 .keep = out_.keep != nullptr ? out_.keep->row(r) + begin : nullptr,
                 .prefetch = values,
                 .stream = false});
  return pruned;
}

bool RowPass::row_statistics(int64_t r, Scratch& scratch, BlockStatistics& out) const {
  for (int64_t begin = 0; begin < in_.cols; begin += piece_) {
    const int64_t count = std::min(piece_, in_.cols - begin);
    const float* values = prepare(r, begin, count, scratch);
    if (values == nullptr) return false;
    int32_t absmax_bits = 0;
    BlockStatistics piece;
    const bool signs = steps_.plan->has_zero_points();
    kernels_->ranges(values, count, count,
                     {&absmax_bits, signs ? &piece.min : nullptr, signs ? &piece.max : nullptr});
    if (absmax_bits >= kInfinityBits) return false;
    if (!signs) piece.max = std::bit_cast<float>(absmax_bits);
    merge(out, piece);
  }
  return true;
}

// The sum runs over the lanes of the whole row, in its order.
double RowPass::row_error(int64_t r, BlockScale scale, Scratch& scratch) const {
  LaneSum sum;
  for (int64_t begin = 0; begin < in_.cols; begin += piece_) {
    const int64_t count = std::min(piece_, in_.cols - begin);
    const float* values = prepare(r, begin, count, scratch);
    kernels_->squared_error(steps_.plan->grid(),
                            {.values = values,
                             .count = count,
                             .block = count,
                             .scales = &scale.scale,
                             .zero_points = &scale.zero_point},
                            sum.lanes());
  }
  return sum.total();
}

bool RowPass::quantize_piece(int64_t r, int64_t begin, int64_t count, const float* values,
                             float* simulated, Scratch& scratch) {
  const bool signs = steps_.plan->has_zero_points();
  kernels_->ranges(values, count, block_,
                   {scratch.absmax_bits.data(), signs ? scratch.min.data() : nullptr,
                    signs ? scratch.max.data() : nullptr});
  int32_t largest = 0;
  for (int64_t b = 0; b < block_count(count, block_); ++b) {
    largest = std::max(largest, scratch.absmax_bits[static_cast<size_t>(b)]);
  }
  if (largest >= kInfinityBits) return false;
  const BlockScales scales = piece_scales(r, begin, count, values, scratch);
  uint8_t* codes =
      out_.quantized != nullptr ? out_.quantized->codes.data() + r * in_.cols + begin : nullptr;
  kernels_->quantize(steps_.plan->grid(),
                     {.values = values,
                      .count = count,
                      .block = block_,
                      .scales = scales.effective,
                      .zero_points = scales.zero_points,
                      .simulated = simulated,
                      .codes = codes,
                      .prefetch = next_piece(r, begin, count),
                      .stream = stream_ && simulated != scratch.simulated.data()});
  return true;
}

// Chooses the scales of a piece's blocks, or finds the given ones.
RowPass::BlockScales RowPass::piece_scales(int64_t r, int64_t begin, int64_t count,
                                           const float* values, Scratch& scratch) {
  const QuantizePlan& plan = *steps_.plan;
  const QuantizedMatrix* from = steps_.scales_from;
  const bool signs = plan.has_zero_points();
  if (one_scale_) {
    if (from == nullptr) return {&tensor_block_.scale, signs ? &tensor_block_.zero_point : nullptr};
    return {from->scales.data(), signs ? from->zero_points.data() : nullptr};
  }
  const int64_t blocks = block_count(count, block_);
  const int64_t index = r * block_count(in_.cols, block_) + begin / block_;
  const float second = second_level_scale(r, blocks, scratch);
  const float* stored = nullptr;
  const int32_t* zero_points = nullptr;
  if (from != nullptr) {
    stored = from->scales.data() + index;
    if (signs) zero_points = from->zero_points.data() + index;
  } else {
    QuantizedMatrix* result = out_.quantized;
    float* chosen = result != nullptr ? result->scales.data() + index : scratch.stored.data();
    int32_t* chosen_zero = nullptr;
    if (signs) {
      chosen_zero =
          result != nullptr ? result->zero_points.data() + index : scratch.zero_points.data();
    }
    const QuantizeRanges ranges{scratch.absmax_bits.data(), scratch.min.data(), scratch.max.data()};
    if (!plan.format().mse) {
      plan.choose(ranges, blocks, second, chosen, chosen_zero);
    } else {
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t length = std::min(block_, count - b * block_);
        BlockStatistics statistics{.max = std::bit_cast<float>(ranges.absmax_bits[b])};
        if (signs) statistics = {.min = ranges.min[b], .max = ranges.max[b]};
        const BlockScale best = best_scale(statistics, second, [&](BlockScale scale) {
          LaneSum sum;
          kernels_->squared_error(plan.grid(),
                                  {.values = values + b * block_,
                                   .count = length,
                                   .block = length,
                                   .scales = &scale.scale,
                                   .zero_points = &scale.zero_point},
                                  sum.lanes());
          return sum.total();
        });
        chosen[b] = best.scale;
        if (signs) chosen_zero[b] = best.zero_point;
      }
    }
    stored = chosen;
    zero_points = chosen_zero;
  }
  if (!plan.two_level()) return {stored, zero_points};
  for (int64_t b = 0; b < blocks; ++b) {
    scratch.effective[static_cast<size_t>(b)] = effective_scale({stored[b]}, second).scale;
  }
  return {scratch.effective.data(), zero_points};
}

// The search of `:mse`, in the order of the definition. error() takes an effective scale.
template <typename ErrorOf>
BlockScale RowPass::best_scale(const BlockStatistics& statistics, float second,
                               const ErrorOf& error) const {
  const QuantizePlan& plan = *steps_.plan;
  return least_error_scale(
      plan.format().mse ? plan.candidates() : 1, second,
      [&](int i) { return plan.candidate(statistics, second, i); }, error);
}

float RowPass::second_level_scale(int64_t r, int64_t blocks, const Scratch& scratch) {
  const QuantizePlan& plan = *steps_.plan;
  if (!plan.two_level() || plan.format().role == Role::kWeight) return tensor_scale_;
  if (steps_.scales_from != nullptr) {
    return steps_.scales_from->tensor_scales[static_cast<size_t>(r)];
  }
  const int32_t absmax_bits =
      *std::max_element(scratch.absmax_bits.begin(), scratch.absmax_bits.begin() + blocks);
  const float scale = steps_.tensor_scale ? *steps_.tensor_scale
                                          : plan.tensor_scale(std::bit_cast<float>(absmax_bits));
  if (out_.quantized != nullptr) out_.quantized->tensor_scales[static_cast<size_t>(r)] = scale;
  return scale;
}

const float* RowPass::next_piece(int64_t r, int64_t begin, int64_t count) const {
  if (begin + count < in_.cols) return in_.row(r) + begin + count;
  return r + 1 < in_.rows ? in_.row(r + 1) : in_.row(r) + begin;
}

}  // namespace scant
