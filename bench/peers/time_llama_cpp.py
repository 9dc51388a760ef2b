#!/usr/bin/env python3
"""Times llama.cpp on a GGUF file in its own types, for bench/end_to_end/against_llama_cpp.py. Needs llama-cpp-python from
PyPI, built on this machine:

    CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary llama-cpp-python llama-cpp-python

    time_llama_cpp.py MODEL.gguf --types Q4_0 Q8_0 --work FOLDER --threads 2 [--prompt 256] [--generate 64] [--runs 3]

Each type is made once in FOLDER, all tensors in it, embeddings and head too. Prints one JSON object: of each type bytes, load
seconds (the file in the page cache), tokens/s of prompt and of decoding (medians), on random tokens.
"""

import argparse
import ctypes
import json
import pathlib
import random
import statistics
import sys
import time

import llama_cpp


def quantized(source, kind, work):
    target = pathlib.Path(work, f"{pathlib.Path(source).stem}-{kind}.gguf")
    if not target.exists():
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}")
        parameters.allow_requantize = True
        parameters.pure = True
        partial = target.with_suffix(".partial")
        if llama_cpp.llama_model_quantize(str(source).encode(), str(partial).encode(), ctypes.byref(parameters)) != 0:
            sys.exit(f"{source}: llama.cpp cannot make {kind} of it")
        partial.rename(target)
    return target


class Model:
    def __init__(self, path, threads, positions):
        begin = time.perf_counter()
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            sys.exit(f"{path}: llama.cpp cannot load it")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = positions
        parameters.n_threads = parameters.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        self.load_seconds = time.perf_counter() - begin
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def decode(self, tokens):
        array = (llama_cpp.llama_token * len(tokens))(*tokens)
        if llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(array, len(tokens))) != 0:
            sys.exit("llama.cpp: decoding failed")
        llama_cpp.llama_synchronize(self.context)

    def likeliest(self):
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        return max(range(self.vocabulary), key=logits.__getitem__)

    def forget(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)


def measure(path, options):
    model = Model(path, options.threads, options.prompt + options.generate)
    draw = random.Random(1)
    prompt = [draw.randrange(model.vocabulary) for _ in range(options.prompt)]
    # Which tokens follow does not change the time; choosing them in Python would.
    following = [draw.randrange(model.vocabulary) for _ in range(options.generate)]
    prompt_seconds, decode_seconds = [], []
    for _ in range(options.runs):
        model.forget()
        begin = time.perf_counter()
        model.decode(prompt)
        prompt_seconds.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        for token in following:
            model.decode([token])
        decode_seconds.append(time.perf_counter() - begin)
    return {"bytes": path.stat().st_size, "load_seconds": model.load_seconds,
            "prompt_tokens_per_second": options.prompt / statistics.median(prompt_seconds),
            "decode_tokens_per_second": options.generate / statistics.median(decode_seconds)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--types", nargs="+", default=["Q4_0", "Q8_0"])
    parser.add_argument("--work", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    pathlib.Path(options.work).mkdir(parents=True, exist_ok=True)
    quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    result = {kind: measure(quantized(options.model, kind, options.work), options) for kind in options.types}
    print(json.dumps({"llama_cpp": llama_cpp.__version__, "threads": options.threads, "prompt": options.prompt,
                      "generated": options.generate, "types": result}, indent=1))


if __name__ == "__main__":
    main()
