#include "cli/shell.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "core/error.h"
#include "report/table.h"

namespace scant {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int signal) {
  interrupted = 1;
  std::signal(signal, SIG_DFL);  // a second one ends the program at once
}

LogLevel level_of(const std::string& name) {
  return name == "debug"     ? LogLevel::kDebug
         : name == "warning" ? LogLevel::kWarning
                             : LogLevel::kInfo;
}

bool fancy(int fd) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(fd) != 0 && std::getenv("NO_COLOR") == nullptr &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

void print(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

/// One line on standard error: bar, share, rate, time left.
struct Shell::Bar {
  using Clock = std::chrono::steady_clock;
  std::mutex mutex;
  std::string task;
  Clock::time_point start;
  Clock::time_point drawn;
  bool visible = false;

  void update(const Progress& progress) {
    const std::lock_guard lock(mutex);
    const auto now = Clock::now();
    if (task != progress.task) {
      clear();
      task = progress.task;
      start = now;
      drawn = {};
    }
    const bool last = progress.done >= progress.total;
    if (last) {
      clear();
      return;
    }
    if (now - drawn < std::chrono::milliseconds(100)) return;
    drawn = now;
    const double seconds = std::chrono::duration<double>(now - start).count();
    const double share = progress.total == 0 ? 0
                                             : static_cast<double>(progress.done) /
                                                   static_cast<double>(progress.total);
    constexpr int kWidth = 24;
    const int filled = static_cast<int>(share * kWidth);
    std::string line = "\r\033[K" + task + " ";
    for (int i = 0; i < kWidth; ++i) line += i < filled ? "━" : "╌";
    line += fmt::format(" {:3.0f}%", 100 * share);
    if (seconds > 0.5 && progress.done > 0) {
      line += fmt::format("  {} {}/s  {} left",
                          count_text(static_cast<double>(progress.done) / seconds), progress.unit,
                          duration_text(seconds * (1 - share) / share));
    }
    print(stderr, line);
    visible = true;
  }

  void clear() {
    if (visible) print(stderr, "\r\033[K");
    visible = false;
  }
};

Shell::Shell(const GlobalOptions& options)
    : options_(options),
      threads_(options.threads),
      context_{threads_},
      bold_(fancy(STDOUT_FILENO)) {
  const LogLevel lowest = level_of(options_.log_level);
  context_.log = [this, lowest](LogLevel level, std::string_view message) {
    if (level < lowest || (options_.quiet && level < LogLevel::kWarning)) return;
    if (bar_) bar_->clear();
    const char* name = level == LogLevel::kWarning ? "warning: "
                       : level == LogLevel::kDebug ? "debug: "
                                                   : "";
    print(stderr, name + std::string(message) + "\n");
  };
  if (!options_.quiet && fancy(STDERR_FILENO)) {
    bar_ = std::make_unique<Bar>();
    context_.progress = [this](const Progress& progress) { bar_->update(progress); };
  }
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  std::signal(SIGXFSZ, SIG_IGN);  // a write past a limit is an error, not the end of the program
  context_.cancelled = [] { return interrupted != 0; };
}

Shell::~Shell() {
  if (bar_) bar_->clear();
}

void Shell::result(std::string_view text) {
  if (bar_) bar_->clear();
  print(stdout, text);
}

void Shell::note(std::string_view text) {
  if (!options_.quiet) result(text);
}

void Shell::remark(std::string_view text) {
  if (options_.quiet) return;
  if (bar_) bar_->clear();
  print(stderr, text);
}

}  // namespace scant
