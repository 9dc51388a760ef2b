#include "tests/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace scant {
namespace {

namespace fs = std::filesystem;

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

pid_t start(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
            const std::string& out, const std::string& err) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const auto redirect = [](const std::string& path, int fd) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file, fd);
    ::close(file);
  };
  redirect(out, STDOUT_FILENO);
  redirect(err, STDERR_FILENO);
  for (const std::string& setting : environment) ::putenv(const_cast<char*>(setting.c_str()));
  static const std::string program = SCANT_BINARY_DIR "/scant";
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

}  // namespace

ProgramRun run_scant(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& environment) {
  const std::string base =
      fs::path(testing::TempDir()) / ("scant_run_" + std::to_string(::getpid()));
  const pid_t pid = start(arguments, environment, base + ".out", base + ".err");
  int status = 0;
  ::waitpid(pid, &status, 0);
  ProgramRun run;
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  run.output = slurp(base + ".out");
  run.errors = slurp(base + ".err");
  fs::remove(base + ".out");
  fs::remove(base + ".err");
  return run;
}

bool run_scant_and_kill(const std::vector<std::string>& arguments, int milliseconds) {
  const pid_t pid = start(arguments, {}, "/dev/null", "/dev/null");
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status);
}

std::string scratch_folder() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(test->test_suite_name()) + "_" + test->name();
  for (char& c : name) c = c == '/' ? '_' : c;
  const fs::path path = fs::path(testing::TempDir()) / ("scant_" + name);
  fs::remove_all(path);
  fs::create_directories(path);
  return path.string();
}

std::string embedded_model() { return SCANT_SOURCE_DIR "/assets/quill-llama-5m"; }
std::string embedded_text() { return SCANT_SOURCE_DIR "/assets/text/books.txt"; }
std::string embedded_calibration() { return SCANT_SOURCE_DIR "/assets/text/calibration.txt"; }

}  // namespace scant
