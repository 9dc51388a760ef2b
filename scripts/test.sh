#!/usr/bin/env bash
# Builds everything and runs the whole suite: unit tests, goldens, faults and end-to-end runs, then
# every fuzz target for FUZZ_SECONDS (60 by default) under the address and undefined behaviour
# sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/build.sh release all
ctest --test-dir build/release --output-on-failure -j "$(nproc)" -LE slow
fuzz/run.sh "${FUZZ_SECONDS:-60}"
