#!/bin/sh
# Builds fuzz targets (clang, libFuzzer, ASan, UBSan) and runs each for a while:
#
#   fuzz/run.sh [NAME...] SECONDS      for example: fuzz/run.sh safetensors gguf 600
#
# Without a name it runs all. A target starts from fuzz/corpus/NAME and keeps what it finds in
# build/fuzz/found/NAME; an input that crashes, hangs (10 s) or takes more than 1 GiB stays in
# build/fuzz/crashes and makes the exit status non-zero.
set -eu
cd "$(dirname "$0")/.."
names=""
while [ $# -gt 1 ]; do
  names="$names $1"
  shift
done
seconds=${1-}
case $seconds in
  "" | *[!0-9]*) echo "usage: fuzz/run.sh [NAME...] SECONDS" >&2; exit 2 ;;
esac
if [ -z "$names" ]; then
  for source in fuzz/*.cc; do
    name=$(basename "$source" .cc)
    if [ "$name" != replay_main ]; then names="$names $name"; fi
  done
fi

cmake --preset fuzz > /dev/null
targets=""
for name in $names; do targets="$targets fuzz_$name"; done
# shellcheck disable=SC2086
cmake --build --preset fuzz --target $targets

status=0
mkdir -p build/fuzz/crashes
for name in $names; do
  found=build/fuzz/found/$name
  mkdir -p "$found"
  dictionary=""
  if [ -f "fuzz/$name.dict" ]; then dictionary="-dict=fuzz/$name.dict"; fi
  echo "== $name: $seconds s"
  # shellcheck disable=SC2086
  build/fuzz/fuzz/fuzz_"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/crashes/"$name"- $dictionary \
    "$found" "fuzz/corpus/$name" || { echo "== $name FAILED" >&2; status=1; }
done
exit $status
