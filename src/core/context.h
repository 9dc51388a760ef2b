#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/tensor.h"
#include "core/threads.h"

namespace scant {

enum class LogLevel { kDebug, kInfo, kWarning };

/// What a long computation reports to whoever runs it; nothing below `cli` prints.
struct Progress {
  std::string_view task;  ///< "dense model", "layers"
  int64_t done = 0;
  int64_t total = 0;
  std::string_view unit;  ///< "tokens", "layers"
};

/// The state that travels with every call: threads, device, seed, and where messages go.
/// Results depend on the seed and on nothing else in here.
struct Context {
  ThreadPool& threads;
  uint64_t seed = 0;
  Stream stream;
  std::function<void(LogLevel, std::string_view)> log = [](LogLevel, std::string_view) {};
  std::function<void(const Progress&)> progress = [](const Progress&) {};
  /// True as soon as the user asked to stop; long loops throw Error then.
  std::function<bool()> cancelled = [] { return false; };
  // One process of several: the work of rank r of `ranks`, and the sum of a buffer over all ranks
  // in a fixed order. With one process the sum is the buffer itself.
  int rank = 0;
  int ranks = 1;
  std::function<void(std::span<double>)> all_reduce = [](std::span<double>) {};
};

}  // namespace scant
