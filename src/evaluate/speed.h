#pragma once

#include <cstdint>
#include <string>

#include "core/context.h"
#include "kernels/peak/peak.h"
#include "models/generate/resident_model.h"
#include "models/kv_cache.h"
#include "models/model.h"

namespace scant {

struct SpeedOptions {
  int64_t prompt = 256;    ///< tokens that go through the model at once
  int64_t generated = 64;  ///< tokens that follow, one by one
  int64_t runs = 3;        ///< the median counts
  KvType kv = KvType::kF32;
  PackedInputs inputs = PackedInputs::kInt8;
};

/// Bytes that one step of decoding must read, on average over the steps that were timed.
struct TouchedBytes {
  int64_t weights = 0;  ///< codes and positions of the blocks' layers; float32 where not packed
  int64_t scales = 0;   ///< theirs, zero points and constants included
  int64_t head = 0;     ///< all of it
  int64_t kv = 0;       ///< keys and values of the positions so far
  int64_t total() const { return weights + scales + head + kv; }
};

struct Speed {
  double load_seconds = 0;  ///< opening and loading, file in the page cache or not
  double prompt_tokens_per_second = 0;
  double decode_tokens_per_second = 0;
  TouchedBytes touched;
  int64_t operations_per_token = 0;  ///< multiplications and additions in linear layers
  int64_t peak_memory = 0;           ///< resident, file maps included

  /// Bytes that decoding read per second, as a share of what the machine can read.
  double share_of_bandwidth(const MachinePeak& peak) const;
  /// Operations of the prompt per second, as a share of what the machine can do with bytes.
  double share_of_integer_rate(const MachinePeak& peak) const;
};

/// Loads the model at `path` and times it on random tokens. Throws Error if it cannot be opened or
/// its context is too short.
Speed measure_speed(const std::string& path, const SpeedOptions& options, Context& context);

}  // namespace scant
