#include "compress/gram_tap.h"

#include "ops/gram.h"

namespace scant {

void GramTap::linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                           int64_t sample) {
  Matrix copy = Matrix::copy_of(input);
  const std::lock_guard lock(mutex_);
  Input& entry = inputs_[readers.front().info.name];
  if (entry.readers.empty()) {
    for (const LinearLayer& layer : readers) entry.readers.push_back(layer.info.name);
    entry.gram = Matrix::zeros(input.cols, input.cols);
  }
  entry.samples.resize(static_cast<size_t>(batch_));
  entry.samples[static_cast<size_t>(sample)] = std::move(copy);
}

void GramTap::end_batch(Context& context) {
  for (auto& [name, entry] : inputs_) {
    std::vector<ConstMatrixView> samples;
    for (const Matrix& sample : entry.samples) {
      if (sample.size() > 0) samples.push_back(sample.view());
    }
    accumulate_gram(samples, entry.gram.view(), context);
    entry.samples.clear();
  }
}

std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>> GramTap::finish() {
  std::map<std::string, std::shared_ptr<const InputStatistics>, std::less<>> result;
  for (auto& [name, entry] : inputs_) {
    complete_gram(entry.gram.view());
    const auto statistics = std::make_shared<const InputStatistics>(std::move(entry.gram));
    for (const std::string& reader : entry.readers) result.emplace(reader, statistics);
  }
  inputs_.clear();
  return result;
}

}  // namespace scant
