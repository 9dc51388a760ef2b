#include "compress/block_grams.h"

#include <utility>

#include "ops/gram.h"

namespace scant {

void InputTap::linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                            int64_t sample) {
  Matrix copy = Matrix::copy_of(input);
  const std::lock_guard lock(mutex_);
  Input& entry = inputs_[readers.front().info.name];
  if (entry.readers.empty()) {
    for (const LinearLayer& layer : readers) entry.readers.push_back(layer.info.name);
    entry.samples.resize(static_cast<size_t>(batch_));
  }
  entry.samples[static_cast<size_t>(sample)] = std::move(copy);
}

std::map<std::string, InputTap::Input, std::less<>> InputTap::take() {
  return std::exchange(inputs_, {});
}

std::vector<ConstMatrixView> InputTap::Input::views() const {
  std::vector<ConstMatrixView> views;
  for (const Matrix& sample : samples) {
    if (sample.size() > 0) views.push_back(sample.view());
  }
  return views;
}

void BlockGrams::add(InputTap& inputs, InputTap* dense, Context& context) {
  const auto batch = inputs.take();
  const auto dense_batch = dense != nullptr ? dense->take() : decltype(inputs.take()){};
  for (const auto& [name, input] : batch) {
    Sums& sums = sums_[name];
    const std::vector<ConstMatrixView> views = input.views();
    const int64_t features = views.front().cols;
    if (sums.readers.empty()) {
      sums.readers = input.readers;
      sums.gram = Matrix::zeros(features, features);
      if (dense != nullptr) sums.cross = Matrix::zeros(features, features);
    }
    accumulate_gram(views, sums.gram.view(), context);
    if (dense != nullptr) {
      accumulate_cross_gram(dense_batch.at(name).views(), views, sums.cross.view(), context);
    }
  }
}

std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>> BlockGrams::finish() {
  std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>> result;
  for (auto& [name, sums] : sums_) {
    complete_gram(sums.gram.view());
    const auto statistics =
        std::make_shared<const InputStatistics>(std::move(sums.gram), std::move(sums.cross));
    for (const std::string& reader : sums.readers) result.emplace(reader, statistics);
  }
  sums_.clear();
  return result;
}

}  // namespace scant
