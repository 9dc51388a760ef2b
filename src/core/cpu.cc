#include "core/cpu.h"

#include <array>
#include <atomic>
#include <utility>

#include "core/error.h"

namespace scant {
namespace {

constexpr std::array<std::pair<Isa, std::string_view>, 4> kIsas = {
    {{Isa::kPortable, "portable"},
     {Isa::kAvx2, "avx2"},
     {Isa::kAvx512, "avx512"},
     {Isa::kAvx512Vnni, "avx512vnni"}}};

// A process has one processor: the limit is the only global of the library, set once at start-up.
std::atomic<Isa>& active() {
  static std::atomic<Isa> isa{detected_isa()};
  return isa;
}

}  // namespace

std::string_view isa_name(Isa isa) { return kIsas[static_cast<size_t>(isa)].second; }

std::optional<Isa> parse_isa(std::string_view name) {
  for (const auto& [isa, text] : kIsas) {
    if (text == name) return isa;
  }
  return std::nullopt;
}

Isa detected_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni") &&
                    __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
  if (vnni) return Isa::kAvx512Vnni;
  if (avx512) return Isa::kAvx512;
  if (avx2) return Isa::kAvx2;
#endif
  return Isa::kPortable;
}

Isa active_isa() { return active().load(std::memory_order_relaxed); }

void limit_isa(Isa isa) {
  if (isa > detected_isa()) {
    throw Error("instruction set", "this processor has no " + std::string(isa_name(isa)) +
                                       "; the best it has is " +
                                       std::string(isa_name(detected_isa())));
  }
  active().store(isa, std::memory_order_relaxed);
}

std::vector<Isa> runnable_isas() {
  std::vector<Isa> isas;
  for (const auto& [isa, name] : kIsas) {
    if (isa <= detected_isa()) isas.push_back(isa);
  }
  return isas;
}

}  // namespace scant
