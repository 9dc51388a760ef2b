#!/usr/bin/env bash
# Formats every C++ file, or with --check fails if one is not formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
formatter=$(command -v clang-format-14 || command -v clang-format)
mode=(-i)
[ "${1:-}" = "--check" ] && mode=(--dry-run --Werror)
git ls-files '*.cc' '*.h' | xargs "$formatter" "${mode[@]}"
