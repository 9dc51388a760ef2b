#!/usr/bin/env bash
# Installs a build into a scratch prefix, builds the example against find_package(scant), runs it.
# Usage: scripts/test_install.sh BUILD_FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cmake --install "$1" --prefix "$scratch/prefix" >/dev/null
cmake -S examples/compress_one_matrix -B "$scratch/build" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/build" -- --quiet
"$scratch/build/compress_one_matrix"
"$scratch/prefix/bin/scant" --version
