#!/usr/bin/env bash
# Builds fuzz targets (clang, libFuzzer, ASan, UBSan) and runs each for a while, one per processor
# at a time:
#
#   fuzz/run.sh 60                      every target
#   fuzz/run.sh safetensors gguf 600    these
#
# A target starts from fuzz/corpus/NAME and keeps what it finds in build/fuzz/found/NAME; an input
# that crashes, hangs (10 s) or takes more than 1 GiB stays in build/fuzz/crashes and makes the
# exit status non-zero. FUZZ_SEED (1 by default, so that a run can be repeated) starts another path;
# `make fuzz-long` takes a new one each time.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { echo "usage: fuzz/run.sh [NAME...] SECONDS" >&2; exit 2; }
seconds=${*: -1}
case $seconds in *[!0-9]*) echo "fuzz/run.sh: \"$seconds\" is not a number of seconds" >&2; exit 2 ;; esac
names=("${@:1:$#-1}")
if [ ${#names[@]} -eq 0 ]; then
  for source in fuzz/*.cc; do
    name=$(basename "$source" .cc)
    [ "$name" = replay_main ] || names+=("$name")
  done
fi

[ -f build/fuzz/build.ninja ] || cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${names[@]/#/fuzz_}" -- --quiet
mkdir -p build/fuzz/crashes build/fuzz/logs

run_one() {
  local name=$1 seconds=$2 dictionary=()
  mkdir -p "build/fuzz/found/$name"
  [ -f "fuzz/$name.dict" ] && dictionary=(-dict="fuzz/$name.dict")
  if build/fuzz/fuzz/fuzz_"$name" -max_total_time="$seconds" -seed="${FUZZ_SEED:-1}" -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/crashes/$name-" "${dictionary[@]}" \
    "build/fuzz/found/$name" "fuzz/corpus/$name" >"build/fuzz/logs/$name.txt" 2>&1; then
    echo "fuzz $name: $seconds s, $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/logs/$name.txt") inputs, no fault"
  else
    echo "fuzz $name: FAILED" >&2
    tail -n 40 "build/fuzz/logs/$name.txt" >&2
    return 1
  fi
}
export -f run_one
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} bash -c "run_one {} $seconds"
