#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "core/cpu.h"
#include "core/error.h"

// Like the program's own main: SCANT_FORCE_ISA limits kernel selection for the whole run.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char* forced = std::getenv("SCANT_FORCE_ISA")) {
    const auto isa = scant::parse_isa(forced);
    if (!isa) {
      std::fprintf(stderr, "SCANT_FORCE_ISA: unknown instruction set \"%s\"\n", forced);
      return 2;
    }
    scant::limit_isa(*isa);
  }
  return RUN_ALL_TESTS();
}
