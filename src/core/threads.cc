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

}  // namespace

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  const std::function<void(int64_t)>* piece = nullptr;
  int64_t count = 0;
  std::atomic<int64_t> next{0};
  uint64_t generation = 0;
  int busy = 0;
  bool stop = false;
  std::exception_ptr failure;
  std::mutex caller;  // one parallel_for at a time
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

  void run_worker() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [&] { return stop || generation != seen; });
      if (stop) return;
      seen = generation;
      const auto& work = *piece;
      const int64_t end = count;
      lock.unlock();
      drain(work, end);
      lock.lock();
      if (--busy == 0) done.notify_one();
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
    state_->stop = true;
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
    state.busy = static_cast<int>(state.workers.size());
    ++state.generation;
  }
  state.wake.notify_all();
  state.drain(piece, count);
  std::unique_lock lock(state.mutex);
  state.done.wait(lock, [&] { return state.busy == 0; });
  if (state.failure) std::rethrow_exception(std::exchange(state.failure, nullptr));
}

}  // namespace scant
