#!/usr/bin/env bash
# Installs the Debian/Ubuntu packages that are missing. Usage:
#
#   scripts/deps.sh build|test|external|emulator...
set -euo pipefail

build_packages=(g++ make cmake ninja-build pkg-config ccache libopenblas-dev libcli11-dev
  nlohmann-json3-dev libyaml-cpp-dev libfmt-dev libpcre2-dev libutf8proc-dev
  libxxhash-dev libprotobuf-dev protobuf-compiler libjs-chart.js)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev clang-14 libclang-rt-14-dev llvm-14
  clang-format-14 clang-tidy-14 chromium chromium-driver python3-selenium)
external_packages=(python3 python3-venv python3-torch)
emulator_packages=(bochs bochsbios vgabios isolinux syslinux-common xorriso cpio busybox-static binutils)

wanted=()
for group in "$@"; do
  case "$group" in
    build) wanted+=("${build_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    external) wanted+=("${external_packages[@]}") ;;
    emulator) wanted+=("${emulator_packages[@]}") ;;
    *) echo "deps.sh: unknown group \"$group\"; expected build, test, external or emulator" >&2; exit 2 ;;
  esac
done

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "deps.sh: install as root: ${missing[*]}" >&2; exit 1; }
  run=(sudo)
fi
echo "Installing: ${missing[*]}"
"${run[@]}" apt-get update -qq
"${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
