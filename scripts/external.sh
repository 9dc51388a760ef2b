#!/usr/bin/env bash
# Checks against outside implementations: transformers and torch (Debian's python3-torch and PyPI's
# transformers), tokenizers, gguf. Makes .venv once; needs the built program.
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
"$venv/bin/python" tests/external/check_transformers.py "$scant" assets/quill-llama-5m assets/text/books.txt
