#include "core/threads.h"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace scant {
namespace {

thread_local bool inside_piece = false;

/// Tells the processor that this is a loop that waits.
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  // Written before `generation` goes up, read after it was seen to.
  const std::function<void(int64_t)>* piece = nullptr;
  int64_t count = 0;
  std::atomic<int64_t> next{0};
  std::atomic<uint64_t> generation{0};
  std::atomic<int> busy{0};
  std::atomic<bool> stop{false};
  std::exception_ptr failure;  // guarded by `mutex`
  std::mutex caller;           // one parallel_for at a time
  std::vector<std::thread> workers;

  void drain(const std::function<void(int64_t)>& work, int64_t end) {
    inside_piece = true;
    try {
      for (int64_t i = next.fetch_add(1); i < end; i = next.fetch_add(1)) work(i);
    } catch (...) {
      next.store(end);
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
    inside_piece = false;
  }

  /// Returns when `is_true()`: looks for a while, because the next piece of a model's step is often
  /// there within microseconds and waking a thread takes as long, then sleeps.
  template <typename Condition>
  void wait(std::condition_variable& variable, const Condition& is_true) {
    constexpr int kLooks = 2000;  // some 30 us
    for (int i = 0; i < kLooks; ++i) {
      if (is_true()) return;
      pause();
    }
    std::unique_lock lock(mutex);
    variable.wait(lock, is_true);
  }

  void run_worker() {
    uint64_t seen = 0;
    while (true) {
      wait(wake, [&] { return stop.load() || generation.load() != seen; });
      if (stop.load()) return;
      seen = generation.load();
      drain(*piece, count);
      if (busy.fetch_sub(1) == 1) {
        const std::lock_guard lock(mutex);  // or the caller could miss it on its way to sleep
        done.notify_one();
      }
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  if (threads <= 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  for (int i = 1; i < threads; ++i) {
    state_->workers.emplace_back([state = state_.get()] { state->run_worker(); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop.store(true);
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::size() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(int64_t count, const std::function<void(int64_t)>& piece) {
  if (inside_piece || state_->workers.empty() || count <= 1) {
    for (int64_t i = 0; i < count; ++i) piece(i);
    return;
  }
  State& state = *state_;
  const std::lock_guard caller(state.caller);
  {
    const std::lock_guard lock(state.mutex);
    state.piece = &piece;
    state.count = count;
    state.next.store(0);
    state.failure = nullptr;
    state.busy.store(static_cast<int>(state.workers.size()));
    state.generation.fetch_add(1);
  }
  state.wake.notify_all();
  state.drain(piece, count);
  state.wait(state.done, [&] { return state.busy.load() == 0; });
  const std::lock_guard lock(state.mutex);
  if (state.failure) std::rethrow_exception(std::exchange(state.failure, nullptr));
}

}  // namespace scant
