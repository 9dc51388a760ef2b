#!/usr/bin/env bash
# Configures a preset if needed and builds targets. Usage: scripts/build.sh PRESET TARGET...
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
echo "Building $* ($preset)"
cmake --build --preset "$preset" --target "$@" -- --quiet
