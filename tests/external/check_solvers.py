"""Perplexity after wanda, sparsegpt and gptq is that of an independent implementation in torch.

Usage: check_solvers.py SCANT MODEL CALIBRATION TEXT [WINDOWS [MAX_TOKENS]]

The model is loaded in transformers and compressed on the same calibration windows, each layer by the plain float64 functions of
make_solver_goldens.py. `scant compress` does the same, and `scant eval` gives its perplexity: within 0.5%. Where a case says so,
blocks see what the compressed blocks before them make. Methods that compensate are compared on the inputs that
the dense model has: a code that falls to the other side in one block changes every block behind it, and two equally good
solutions then differ by about a percent on a model this small.
"""

import math
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from check_transformers import WINDOW, perplexity_of, scant_json
from make_solver_goldens import Grid, choose, sweep

TOLERANCE = 0.005
CASES = [  # method, what it is given, what feeds a block
    ("wanda", "2:4", "compressed"),
    ("wanda", "50%", "compressed"),
    ("sparsegpt", "2:4", "dense"),
    ("sparsegpt", "50%", "dense"),
    ("gptq", "int4", "dense"),
    ("gptq", "int3:g32", "dense"),
]


def linears_of(block):
    return {name: module for name, module in block.named_modules() if isinstance(module, torch.nn.Linear)}


def grams_of(model, blocks, windows):
    """X^T X in float64 of the inputs that the layers of these blocks have, by layer; one for all that read one input."""
    grams, handles = {}, []

    def add(key):
        def hook(_, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            grams[key] = grams.get(key, 0) + x.T @ x
        return hook

    readers = {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
    keys = {}
    for number, block in enumerate(blocks):
        for name, module in linears_of(block).items():
            parent, last = name.rsplit(".", 1)
            keys[module] = (number, f"{parent}.{readers.get(last, last)}")
            if last not in readers:
                handles.append(module.register_forward_pre_hook(add(keys[module])))
    with torch.no_grad():
        for window in windows:
            model(torch.tensor([window]))
    for handle in handles:
        handle.remove()
    return {module: grams[key] for module, key in keys.items()}


def solve(method, argument, weight, gram):
    left = torch.arange(weight.shape[1])
    if method == "wanda":
        return weight * choose((weight * torch.diag(gram).sqrt()).abs(), argument)
    if method == "sparsegpt":
        return sweep(weight, gram, left, argument)
    by_norm = torch.sort(torch.diag(gram), descending=True, stable=True).indices
    return sweep(weight, gram, by_norm, grid=Grid(weight, argument))


def compress(model, method, argument, propagate, windows):
    blocks = list(model.model.layers)
    for part in [blocks] if propagate == "dense" else [[block] for block in blocks]:
        for module, gram in grams_of(model, part, windows).items():
            solved = solve(method, argument, module.weight.detach().double(), gram)
            module.weight.data.copy_(solved.float())


def main():
    scant, folder, calibration, text_file = sys.argv[1:5]
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 32
    max_tokens = int(sys.argv[6]) if len(sys.argv) > 6 else 8192
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def ids_of(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    text = pathlib.Path(calibration).read_text(encoding="utf-8")
    text = text[: text.rindex(" ", 0, int(len(text) * (count + 0.5) * WINDOW / len(ids_of(text))))]
    ids = ids_of(text)
    windows = [ids[begin : begin + WINDOW] for begin in range(0, len(ids) - WINDOW + 1, WINDOW)]
    ids = ids_of(pathlib.Path(text_file).read_text(encoding="utf-8"))[:max_tokens]
    print(f"{len(windows)} calibration windows of {WINDOW}, {len(ids)} tokens of {text_file}", flush=True)
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        cut = pathlib.Path(scratch, "calibration.txt")
        cut.write_text(text, encoding="utf-8")
        for method, argument, propagate in CASES:
            flags = ["--sparsity", argument, "--pruner"] if method != "gptq" else ["--weights", argument, "--quantizer"]
            flags += [method, "--propagate", propagate]
            out = f"{scratch}/out"
            # More samples than there are: all windows, in their order.
            subprocess.run([scant, "compress", folder, "-o", out, "--force", "--quiet", "--calibration", cut, "--samples",
                            "1000000", "--window", str(WINDOW), *flags], check=True, stdout=subprocess.DEVNULL)
            ours = scant_json(scant, "eval", out, "--text", text_file, "--json", "--max-tokens", str(max_tokens))["perplexity"]
            model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
            compress(model, method, argument, propagate, windows)
            theirs = perplexity_of(model, ids)
            difference = ours / theirs - 1
            good = math.isfinite(difference) and abs(difference) <= TOLERANCE
            failures += not good
            print(f"{'ok  ' if good else 'FAIL'} {method} {argument}, {propagate} inputs: scant {ours:.4f}, torch {theirs:.4f}, {difference:+.3%}", flush=True)
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
