#include "compress/input_ranges.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "formats/block_codec.h"

namespace scant {
namespace {

class RangeTap : public Tap {
 public:
  RangeTap(size_t windows, int64_t sample_tokens)
      : windows_(windows),
        each_((sample_tokens + static_cast<int64_t>(windows) - 1) / static_cast<int64_t>(windows)) {
  }

  void linear_input(std::span<const LinearLayer> readers, ConstMatrixView input,
                    int64_t sample) override {
    BlockStatistics statistics;
    std::vector<float> maxima(static_cast<size_t>(input.cols), 0.0f);
    for (int64_t r = 0; r < input.rows; ++r) {
      const float* row = input.row(r);
      for (int64_t c = 0; c < input.cols; ++c) {
        const float magnitude = std::fabs(row[c]);
        float& maximum = maxima[static_cast<size_t>(c)];
        maximum = magnitude > maximum ? magnitude : maximum;
        statistics.min = std::min(statistics.min, row[c]);
        statistics.max = std::max(statistics.max, row[c]);
        statistics.sum += magnitude;
      }
    }
    statistics.count = input.size();
    const std::lock_guard lock(mutex_);
    Entry& entry = entry_of(readers, input);
    entry.of_window[static_cast<size_t>(sample)] = statistics;
    for (size_t c = 0; c < maxima.size(); ++c) {
      entry.range->column_maxima[c] = std::max(entry.range->column_maxima[c], maxima[c]);
    }
    for (int64_t i = 0; i < each_; ++i) {
      const int64_t token = (2 * i + 1) * input.rows / (2 * each_);
      std::copy_n(input.row(token), input.cols, entry.range->sample.row(sample * each_ + i));
    }
  }

  /// What came in since the last call.
  InputRanges take() {
    InputRanges ranges;
    for (auto& [name, entry] : std::exchange(entries_, {})) {
      for (const BlockStatistics& one : entry.of_window) merge(entry.range->values, one);
      if (!std::isfinite(entry.range->values.sum)) {
        throw Error("layer " + name, "its inputs on the calibration text are not finite");
      }
      for (const std::string& reader : entry.readers) ranges.emplace(reader, entry.range);
    }
    return ranges;
  }

 private:
  struct Entry {
    std::vector<std::string> readers;
    std::vector<BlockStatistics> of_window;  // merged in order, so that sums are the same
    std::shared_ptr<InputRange> range;
  };

  Entry& entry_of(std::span<const LinearLayer> readers, ConstMatrixView input) {
    Entry& entry = entries_[readers.front().info.name];
    if (entry.range) return entry;
    for (const LinearLayer& layer : readers) entry.readers.push_back(layer.info.name);
    entry.of_window.resize(windows_);
    entry.range = std::make_shared<InputRange>();
    entry.range->column_maxima.resize(static_cast<size_t>(input.cols));
    entry.range->sample = Matrix(static_cast<int64_t>(windows_) * each_, input.cols);
    return entry;
  }

  size_t windows_;
  int64_t each_;
  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;  // by first reader
};

}  // namespace

void measure_inputs(const Model& model, const WeightSource& weights, const Calibration& calibration,
                    int64_t sample_tokens, Context& context,
                    const std::function<void(const InputRanges&)>& stage_done) {
  const auto windows = static_cast<int64_t>(calibration.windows.size());
  HiddenStates states(windows, calibration.states);
  RangeTap tap(calibration.windows.size(), sample_tokens);
  const auto stages = static_cast<int64_t>(model.stages().size());
  for (int64_t stage = 0; stage < stages; ++stage) {
    const auto loaded = model.stages()[static_cast<size_t>(stage)]->load(weights);
    context.threads.parallel_for(windows, [&](int64_t i) {
      if (context.cancelled()) throw Error("compress", "stopped");
      State state{calibration.windows[static_cast<size_t>(i)], 0, states.take(i)};
      loaded->run(state, i, &tap);
      states.put(i, std::move(state.hidden));
    });
    stage_done(tap.take());
    context.progress({"measure inputs", stage + 1, stages, "stages"});
  }
}

}  // namespace scant
