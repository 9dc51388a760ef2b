#include "methods/descent_row.h"

#include <algorithm>
#include <variant>

namespace scant {
namespace {

constexpr int kRounds = 3;  // over the columns of a block

/// The storable scale nearest to `wanted`.
float nearest_scale(double wanted, ScaleStorage storage) {
  const float up = round_up_scale(wanted, storage);
  const float down = round_down_scale(wanted, storage);
  return wanted - down < up - wanted ? down : up;
}

}  // namespace

DescentRowBlock::DescentRowBlock(const SparsityPattern* pattern, const DescentGrid& kernels,
                                 QuantizedMatrix& grid, Mask& mask)
    : kernels_(kernels), grid_(grid), mask_(mask), super_block_(grid.format.super_block()) {
  if (pattern != nullptr) {
    n_of_m_ = std::get_if<NOfMPattern>(&pattern->pattern);
    swaps_freely_ = std::holds_alternative<UnstructuredPattern>(pattern->pattern);
  }
  has_groups_ =
      granularity().kind == Granularity::Kind::kGroup && granularity().size <= kWidestGroup;
}

void DescentRowBlock::improve(int64_t row, const ColumnRange& block,
                              const BlockCurvature& curvature, float* values,
                              const float* gradient) {
  row_ = row;
  block_ = block;
  gradient_.assign(gradient + block.begin, gradient + block.end);
  if (mask_.empty()) {
    all_.assign(gradient_.size(), 1);
  }
  keep_ = mask_.empty() ? all_.data() : mask_.row(row) + block.begin;
  fill_scales({0, block.size()});
  state_ = {.count = block.size(),
            .values = values,
            .gradient = gradient_.data(),
            .keep = keep_,
            .curvature = curvature.inside.data(),
            .diagonal = curvature.diagonal.data(),
            .inverse_diagonal = curvature.inverse.data(),
            .scales = scales_.data(),
            .zero_points = grid_.zero_points.empty() ? nullptr : zero_points_.data(),
            .offsets = grid_.offsets.empty() ? nullptr : offsets_.data()};
  changes_.resize(gradient_.size());
  growths_.resize(gradient_.size());
  for (int round = 0; round < kRounds; ++round) {
    bool changed = kernels_.kernels().choose_values(kernels_.elements(), state_);
    if (n_of_m_ != nullptr) changed |= swap_in_groups();
    if (swaps_freely_) changed |= swap_in_block();
    if (has_groups_ && refits_) changed |= refit_all_groups();
    if (!changed) break;
  }
}

float& DescentRowBlock::own_scale(int64_t row, int64_t block) {
  if (super_block_ != nullptr && super_block_->scale_bits == 0) {
    return grid_.super_scales[static_cast<size_t>(grid_.super_block_of(row, block))].scale;
  }
  return grid_.scales[static_cast<size_t>(block)];
}

float DescentRowBlock::nearest_own_scale(double wanted) const {
  if (super_block_ == nullptr || super_block_->scale_bits == 0) {
    return nearest_scale(wanted, grid_.format.scale_storage);
  }
  return static_cast<float>(std::clamp<double>(std::nearbyint(wanted), super_block_->lowest_scale(),
                                               super_block_->highest_scale()));
}

bool DescentRowBlock::rescale(int64_t row, int64_t first, int64_t count, float* values,
                              double factor) {
  const int64_t block = grid_.block_of(row, first);
  const BlockScale old = grid_.block_scale(row, block);
  float& scale = own_scale(row, block);
  const float wanted = nearest_own_scale(scale * factor);
  if (wanted == scale || !std::isfinite(wanted) || wanted * scale < 0) return false;
  scale = wanted;
  const BlockScale fresh = grid_.block_scale(row, block);
  std::visit(
      [&]<typename Element>(const Element& element) {
        if constexpr (CodedElement<Element>) {
          for (int64_t c = 0; c < count; ++c) {
            if (!mask_.empty() && mask_(row, first + c) == 0) continue;
            values[c] = decode(element, encode(element, values[c], old), fresh);
          }
        }
      },
      grid_.format.element);
  return true;
}

void DescentRowBlock::fill_scales(const ColumnRange& cols) {
  scales_.resize(static_cast<size_t>(block_.size()));
  zero_points_.resize(scales_.size());
  offsets_.resize(scales_.size());
  const bool grouped = granularity().kind == Granularity::Kind::kGroup;
  for (int64_t begin = cols.begin, end; begin < cols.end; begin = end) {
    const int64_t first = block_.begin + begin;
    const int64_t to_next = grouped ? granularity().size - first % granularity().size : cols.end;
    end = std::min(cols.end, begin + to_next);
    const BlockScale scale = grid_.block_scale(row_, grid_.block_of(row_, first));
    std::fill_n(scales_.begin() + begin, end - begin, scale.scale);
    std::fill_n(zero_points_.begin() + begin, end - begin, scale.zero_point);
    std::fill_n(offsets_.begin() + begin, end - begin, scale.offset);
  }
}

void DescentRowBlock::change_by(int64_t c, float change) {
  const auto index = static_cast<int32_t>(c);
  kernels_.kernels().add_rows({state_.curvature, state_.count, &index, &change, 1}, state_.count,
                              state_.gradient);
}

void DescentRowBlock::price(int64_t begin, int64_t count) {
  kernels_.kernels().price(kernels_.elements(), state_, begin, count, changes_.data() + begin,
                           growths_.data() + begin);
}

void DescentRowBlock::consider(int64_t out, int64_t in, Swap& best) const {
  const float value = changes_[static_cast<size_t>(in)];
  const float coupled =
      changes_[static_cast<size_t>(out)] * value * state_.curvature[out * state_.count + in];
  const float total =
      growths_[static_cast<size_t>(out)] + growths_[static_cast<size_t>(in)] + (coupled + coupled);
  // Rounding of the gradient must not let two positions change places for ever.
  const float least = -1e-5f * state_.diagonal[in] * value * value;
  if (total < std::min(best.growth, least)) best = {out, in, total};
}

void DescentRowBlock::apply(const Swap& swap) {
  for (const int64_t c : {swap.out, swap.in}) {
    const float change = changes_[static_cast<size_t>(c)];
    state_.values[c] = c == swap.in ? change : 0.0f;
    change_by(c, change);
  }
  mask_.row(row_)[block_.begin + swap.out] = 0;
  mask_.row(row_)[block_.begin + swap.in] = 1;
}

bool DescentRowBlock::swap_in_groups() {
  bool changed = false;
  const int64_t m = n_of_m_->m;
  const int64_t first = (block_.begin + m - 1) / m * m - block_.begin;
  const int64_t run = m * std::max<int64_t>(1, 32 / m);  // columns that are priced at once
  for (int64_t begin = first; begin < block_.size(); begin += run) {
    int64_t priced = 0;  // to where prices hold
    for (int64_t group = begin; group < std::min(begin + run, block_.size()); group += m) {
      const int64_t end = std::min(group + m, block_.size());
      if (block_.begin + group + m > block_.end && block_.end < mask_.cols) break;
      if (priced <= group) {
        priced = std::min(begin + run, block_.size());
        price(group, priced - group);
      }
      const Swap best = best_in_group({group, end});
      if (best.in < 0) continue;
      apply(best);
      priced = 0;
      changed = true;
    }
  }
  return changed;
}

DescentRowBlock::Swap DescentRowBlock::best_in_group(const ColumnRange& group) const {
  Swap best;
  for (int64_t in = group.begin; in < group.end; ++in) {
    if (keep_[in] != 0) continue;
    for (int64_t out = group.begin; out < group.end; ++out) {
      if (keep_[out] != 0) consider(out, in, best);
    }
  }
  return best;
}

bool DescentRowBlock::swap_in_block() {
  bool changed = false;
  for (int64_t count = block_.size() / 8; count > 0; --count) {
    price(0, block_.size());
    int64_t out = -1, in = -1;
    for (int64_t c = 0; c < block_.size(); ++c) {
      int64_t& best = keep_[c] != 0 ? out : in;
      const float growth = growths_[static_cast<size_t>(c)];
      if (best < 0 || growth < growths_[static_cast<size_t>(best)]) best = c;
    }
    Swap best;
    if (out >= 0 && in >= 0) consider(out, in, best);
    if (best.in < 0) break;
    apply(best);
    changed = true;
  }
  return changed;
}

bool DescentRowBlock::refit_all_groups() {
  bool changed = false;
  for (int64_t begin = 0; begin < block_.size(); begin += granularity().size) {
    changed |= refit_group({begin, std::min(block_.size(), begin + granularity().size)});
  }
  return changed;
}

std::pair<double, double> DescentRowBlock::along(const ColumnRange& group) {
  terms_.clear();
  factors_.clear();
  for (int64_t c = group.begin; c < group.end; ++c) {
    const float scaled = state_.values[c] - offsets_[static_cast<size_t>(c)];
    if (keep_[c] == 0 || scaled == 0) continue;
    terms_.push_back(static_cast<int32_t>(c));
    factors_.push_back(scaled);
  }
  products_.assign(static_cast<size_t>(group.size()), 0.0f);
  kernels_.kernels().add_rows({state_.curvature + group.begin, state_.count, terms_.data(),
                               factors_.data(), static_cast<int64_t>(terms_.size())},
                              group.size(), products_.data());
  double slope = 0, bend = 0;
  for (size_t t = 0; t < terms_.size(); ++t) {
    const double v = factors_[t];
    slope += v * state_.gradient[terms_[t]];
    bend += v * products_[static_cast<size_t>(terms_[t] - group.begin)];
  }
  return {slope, bend};
}

bool DescentRowBlock::refit_group(const ColumnRange& group) {
  const auto [slope, bend] = along(group);
  if (bend <= 0) return false;
  float& scale = own_scale(row_, grid_.block_of(row_, block_.begin + group.begin));
  const float before = scale;
  float* values = state_.values + group.begin;
  old_.assign(values, values + group.size());
  if (!rescale(row_, block_.begin + group.begin, group.size(), values, 1.0 - slope / bend)) {
    return false;
  }
  // The step in steps of the stored scale, which can be coarse.
  const double step = scale / static_cast<double>(before) - 1;
  if (step * (2 * slope + step * bend) >= -1e-6 * bend * step * step) {
    scale = before;
    std::ranges::copy(old_, values);
    return false;
  }
  terms_.clear();
  factors_.clear();
  for (int64_t c = 0; c < group.size(); ++c) {
    const float change = values[c] - old_[static_cast<size_t>(c)];
    if (change == 0) continue;
    terms_.push_back(static_cast<int32_t>(group.begin + c));
    factors_.push_back(change);
  }
  kernels_.kernels().add_rows({state_.curvature, state_.count, terms_.data(), factors_.data(),
                               static_cast<int64_t>(terms_.size())},
                              state_.count, state_.gradient);
  fill_scales(group);
  return true;
}

}  // namespace scant
