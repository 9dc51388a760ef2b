#include "evaluate/speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "checkpoint/packed_folder.h"
#include "core/error.h"
#include "core/process_memory.h"
#include "core/random.h"
#include "core/stopwatch.h"
#include "models/generate/input_mode.h"

namespace scant {
namespace {

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::vector<int32_t> random_tokens(int64_t count, int64_t vocabulary) {
  const CounterRandom random(1, 0);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    const double share = random.uniform(static_cast<uint64_t>(i));
    tokens.push_back(static_cast<int32_t>(share * static_cast<double>(vocabulary)));
  }
  return tokens;
}

/// What of one weight a step reads: all of it.
void add_weight(const Checkpoint& checkpoint, const LinearInfo& info, int64_t& codes,
                int64_t& scales) {
  const auto packed = checkpoint.packed(checkpoint.require(info.tensor));
  if (!packed) {
    codes += info.outputs * info.inputs * static_cast<int64_t>(sizeof(float));
    return;
  }
  const auto bytes = [&](PackedPart part) {
    return static_cast<int64_t>(packed->part(part).size());
  };
  codes += bytes(PackedPart::kCodes) + bytes(PackedPart::kPositions);
  scales += packed->bytes() - bytes(PackedPart::kCodes) - bytes(PackedPart::kPositions);
}

TouchedBytes touched_by(const Model& model) {
  TouchedBytes touched;
  for (const LinearInfo& info : model.linears()) {
    add_weight(model.checkpoint(), info, touched.weights, touched.scales);
  }
  int64_t scales_of_head = 0;
  add_weight(model.checkpoint(), model.head().linear(), touched.head, scales_of_head);
  touched.head += scales_of_head;
  return touched;
}

int32_t likeliest(const std::vector<float>& logits) {
  return static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin());
}

}  // namespace

double Speed::share_of_bandwidth(const MachinePeak& peak) const {
  return static_cast<double>(touched.total()) * decode_tokens_per_second /
         peak.read_bytes_per_second;
}

double Speed::share_of_integer_rate(const MachinePeak& peak) const {
  return static_cast<double>(operations_per_token) * prompt_tokens_per_second /
         peak.int8_operations_per_second;
}

Speed measure_speed(const std::string& path, const SpeedOptions& options, Context& context) {
  reset_peak_memory();
  Speed speed;
  const Stopwatch load;
  const auto model = Model::open(path);
  const InputMode weights(model->weights(), options.inputs);
  const ResidentModel resident(*model, weights, context);
  speed.load_seconds = load.seconds();
  const int64_t positions = options.prompt + options.generated;
  if (model->facts().positions != 0 && positions > model->facts().positions) {
    throw Error(path, fmt::format("{} tokens of prompt and {} generated do not fit its context of "
                                  "{}; expected fewer (--prompt, --generate)",
                                  options.prompt, options.generated, model->facts().positions));
  }
  const auto prompt = random_tokens(options.prompt, resident.vocabulary());
  std::vector<double> prompt_seconds, decode_seconds;
  int64_t kv = 0;  // bytes in front of each step
  for (int64_t run = 0; run < options.runs; ++run) {
    KvCache cache(options.kv, positions);
    const Stopwatch reading;
    auto logits = resident.next_logits(prompt, cache, context);
    prompt_seconds.push_back(reading.seconds());
    const Stopwatch writing;
    for (int64_t step = 0; step < options.generated; ++step) {
      const int32_t token = likeliest(logits);
      logits = resident.next_logits(std::span(&token, 1), cache, context);
    }
    decode_seconds.push_back(writing.seconds());
    kv = cache.bytes() * (options.prompt + options.generated / 2) / cache.positions();
    context.progress({"bench", run + 1, options.runs, "runs"});
  }
  speed.prompt_tokens_per_second = static_cast<double>(options.prompt) / median(prompt_seconds);
  speed.decode_tokens_per_second = static_cast<double>(options.generated) / median(decode_seconds);
  speed.touched = touched_by(*model);
  speed.touched.kv = kv;
  for (const LinearInfo& info : model->linears()) {
    speed.operations_per_token += 2 * info.outputs * info.inputs;
  }
  speed.peak_memory = peak_memory_bytes();
  return speed;
}

}  // namespace scant
