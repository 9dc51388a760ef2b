#!/usr/bin/env bash
# Compresses the embedded model as 2:4 + int4 in all three orders and compares them.
# Usage: scripts/demo.sh PATH_TO_SCANT
set -euo pipefail
cd "$(dirname "$0")/.."
scant=$1
model=assets/quill-llama-5m
text=assets/text/books.txt
out=build/demo
rm -rf "$out" && mkdir -p "$out"

echo "The embedded model, $model:"
"$scant" inspect "$model" --no-statistics | sed -n '1,3p'
echo
for order in sparsify-first quantize-first joint; do
  echo "scant compress $model -o $out/$order --sparsity 2:4 --weights int4:g128 --order $order"
  "$scant" compress "$model" -o "$out/$order" --sparsity 2:4 --weights int4:g128 --order "$order" >"$out/$order.txt"
done
echo
cat "$out/sparsify-first.txt"
echo
echo "Does the order matter? (perplexity on $text, lower is better)"
"$scant" compare "$model" "$out"/sparsify-first "$out"/quantize-first "$out"/joint --text "$text" --max-tokens 16384
