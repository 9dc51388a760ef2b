#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace scant {

/// A fixed set of threads. Work is cut into pieces by the caller, never by the number of threads,
/// and each piece writes only its own results: so results do not depend on how many threads run.
class ThreadPool {
 public:
  /// `threads` in total, the caller's included; 0 means one per processor.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  /// Calls `piece(0) ... piece(count - 1)`, each once, on all threads, and waits. The first
  /// exception is rethrown here after all threads have stopped. A call from inside a piece runs
  /// serially on the calling thread.
  void parallel_for(int64_t count, const std::function<void(int64_t)>& piece);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace scant
