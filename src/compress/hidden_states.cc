#include "compress/hidden_states.h"

#include <utility>

namespace scant {

HiddenStates::HiddenStates(int64_t samples, const StateStorage& storage)
    : samples_(samples), dtype_(storage.dtype), slots_(static_cast<size_t>(samples)) {
  if (storage.offload && samples > 0) file_.emplace(*storage.offload);
}

size_t HiddenStates::bytes(const Slot& slot) const {
  return static_cast<size_t>(slot.rows * slot.cols) * dtype_size(dtype_);
}

Matrix HiddenStates::get(int64_t sample) const {
  const Slot& slot = slots_[static_cast<size_t>(sample)];
  if (slot.rows == 0) return {};
  if (!file_ && dtype_ == DType::kF32) return Matrix::copy_of(slot.wide.view());
  Matrix state(slot.rows, slot.cols);
  if (!file_) {
    widen(slot.narrow.data(), dtype_, state.values());
  } else if (dtype_ == DType::kF32) {
    file_->read(static_cast<size_t>(sample) * bytes(slot), std::as_writable_bytes(state.values()));
  } else {
    std::vector<std::byte> narrow(bytes(slot));
    file_->read(static_cast<size_t>(sample) * narrow.size(), narrow);
    widen(narrow.data(), dtype_, state.values());
  }
  return state;
}

Matrix HiddenStates::take(int64_t sample) {
  if (!file_ && dtype_ == DType::kF32) return std::move(slots_[static_cast<size_t>(sample)].wide);
  return get(sample);
}

void HiddenStates::put(int64_t sample, Matrix state) {
  Slot& slot = slots_[static_cast<size_t>(sample)];
  slot.rows = state.rows();
  slot.cols = state.cols();
  if (!file_ && dtype_ == DType::kF32) {
    slot.wide = std::move(state);
    return;
  }
  std::vector<std::byte> narrowed;
  if (dtype_ != DType::kF32) {
    narrowed.resize(bytes(slot));
    narrow(state.values(), dtype_, narrowed.data());
  }
  if (!file_) {
    slot.narrow = std::move(narrowed);
    return;
  }
  file_->write(static_cast<size_t>(sample) * bytes(slot),
               dtype_ == DType::kF32 ? std::as_bytes(std::as_const(state).values())
                                     : std::span<const std::byte>(narrowed));
}

int64_t HiddenStates::memory(int64_t values, const StateStorage& storage) {
  return storage.offload ? 0 : values * static_cast<int64_t>(dtype_size(storage.dtype));
}

}  // namespace scant
