#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/context.h"

namespace scant {

/// Options that every command has.
struct GlobalOptions {
  bool quiet = false;
  int threads = 0;  ///< 0 = one per processor
  std::string log_level = "info";
};

/// What commands print through: results to standard output; messages and progress to standard
/// error, bars and colours only on a terminal.
class Shell {
 public:
  explicit Shell(const GlobalOptions& options);
  ~Shell();
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  Context& context() { return context_; }
  /// A result: printed even with --quiet.
  void result(std::string_view text);
  /// A remark for people: not printed with --quiet.
  void note(std::string_view text);
  /// Like note, on standard error: for commands whose standard output is data.
  void remark(std::string_view text);
  /// True if standard output is a terminal that shows bold type.
  bool bold() const { return bold_; }
  bool quiet() const { return options_.quiet; }

 private:
  struct Bar;
  GlobalOptions options_;
  ThreadPool threads_;
  Context context_;
  std::unique_ptr<Bar> bar_;
  bool bold_ = false;
};

}  // namespace scant
