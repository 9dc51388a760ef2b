#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scant {

/// Instruction sets that kernels are written for, each including the ones before it.
/// avx2 means AVX2 + FMA + F16C + BMI2; avx512 means F, BW, VL, DQ, CD on top,
/// avx512vnni VNNI, VBMI and VBMI2 on top of that.
enum class Isa { kPortable, kAvx2, kAvx512, kAvx512Vnni };

std::string_view isa_name(Isa isa);
std::optional<Isa> parse_isa(std::string_view name);

/// The best that this processor and operating system run.
Isa detected_isa();
/// What kernels select now: the detected one unless `limit_isa` lowered it.
Isa active_isa();
/// Limits selection, for tests and for SCANT_FORCE_ISA (read by cli and the test main only).
/// Throws Error if the processor lacks `isa`.
void limit_isa(Isa isa);
/// All that can run here, the portable one first.
std::vector<Isa> runnable_isas();

}  // namespace scant
