#!/bin/sh
# Prints the line coverage that the corpora reach in the sources of each parser:
#
#   fuzz/coverage.sh [NAME...]
#
# Inputs are fuzz/corpus/NAME and, where fuzz/run.sh has run, build/fuzz/found/NAME. fuzz/parsers.txt
# says which sources belong to which target. Exits non-zero if one of them has less than 90%.
set -eu
cd "$(dirname "$0")/.."
suffix=${CLANG_SUFFIX--14}
build=build/fuzz-coverage
flags="-fprofile-instr-generate -fcoverage-mapping"
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Debug -DSCANT_FUZZ=ON -DSCANT_TESTS=OFF \
  -DCMAKE_C_COMPILER=clang"$suffix" -DCMAKE_CXX_COMPILER=clang++"$suffix" \
  -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_EXE_LINKER_FLAGS="$flags" > /dev/null
if [ $# -gt 0 ]; then names=$*; else names=$(cut -d' ' -f1 fuzz/parsers.txt); fi

status=0
for name in $names; do
  sources=$(sed -n "s/^$name //p" fuzz/parsers.txt)
  if [ -z "$sources" ]; then
    echo "fuzz/coverage.sh: fuzz/parsers.txt has no target \"$name\"" >&2
    exit 2
  fi
  cmake --build $build --target fuzz_"$name" > $build/"$name".log || { cat $build/"$name".log; exit 1; }
  inputs=fuzz/corpus/$name
  if [ -d build/fuzz/found/"$name" ]; then inputs="$inputs build/fuzz/found/$name"; fi
  # shellcheck disable=SC2086
  LLVM_PROFILE_FILE=$build/$name.profraw $build/fuzz/fuzz_"$name" -runs=0 $inputs 2> $build/"$name".log ||
    { cat $build/"$name".log; exit 1; }
  llvm-profdata"$suffix" merge -o $build/"$name".profdata $build/"$name".profraw
  llvm-cov"$suffix" export -summary-only -instr-profile=$build/"$name".profdata \
    $build/fuzz/fuzz_"$name" > $build/"$name".json
  # shellcheck disable=SC2086
  python3 fuzz/coverage_table.py "$name" $build/"$name".json $sources || status=1
done
exit $status
