#include "core/process_memory.h"

#include <fstream>
#include <string>

namespace scant {

int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");  // proc(5)
  for (std::string word; status >> word;) {
    int64_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace scant
