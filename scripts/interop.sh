#!/usr/bin/env bash
# Checks against the real readers of other tools' formats, from PyPI: transformers, compressed-tensors, GPTQModel,
# bitsandbytes, gguf, llama-cpp-python, onnxruntime. Needs the built program. Makes .venv-interop once (some gigabytes: torch); INTEROP_PYTHON=/path/to/python takes another one.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${INTEROP_PYTHON:-.venv-interop/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv .venv-interop
  .venv-interop/bin/pip install -q -r tests/external/requirements-interop.txt
  BUILD_CUDA_EXT=0 .venv-interop/bin/pip install -q gptqmodel==7.7.0 || echo "interop: without GPTQModel" >&2
  .venv-interop/bin/pip install -q llama-cpp-python==0.3.36 || echo "interop: without llama-cpp-python" >&2  # built here
fi
scant=build/release/scant
"$python" tests/external/check_compressed_tensors.py "$scant" assets/quill-llama-5m tests/goldens/models assets/text/books.txt
"$python" tests/external/check_gptq.py "$scant" assets/quill-llama-5m tests/goldens/models assets/text/books.txt
"$python" tests/external/check_gguf.py "$scant" assets/quill-llama-5m assets/text/books.txt
"$python" tests/external/check_imports.py "$scant" assets/quill-llama-5m
"$python" tests/external/check_onnx.py "$scant" assets/quill-llama-5m tests/goldens/models assets/text/books.txt
