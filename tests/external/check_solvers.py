"""Perplexity after wanda, sparsegpt and gptq is that of an independent implementation in torch.

Usage: check_solvers.py SCANT MODEL CALIBRATION TEXT [WINDOWS [MAX_TOKENS]]

The model is loaded in transformers and compressed block by block on the same calibration windows, each layer by the plain
float64 functions of make_solver_goldens.py; blocks see what the compressed blocks before them make. `scant compress` does the
same, and `scant eval` reads both: within 0.5%.
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
CASES = {
    "wanda 2:4": ["--sparsity", "2:4", "--pruner", "wanda"],
    "wanda 50%": ["--sparsity", "50%", "--pruner", "wanda"],
    "sparsegpt 2:4": ["--sparsity", "2:4", "--pruner", "sparsegpt"],
    "sparsegpt 50%": ["--sparsity", "50%", "--pruner", "sparsegpt"],
    "gptq int4": ["--weights", "int4", "--quantizer", "gptq"],
    "gptq int3:g32": ["--weights", "int3:g32", "--quantizer", "gptq"],
}


class BlockDone(Exception):
    """The block was run; the ones behind it need not be."""


def linears_of(block):
    return {name: module for name, module in block.named_modules() if isinstance(module, torch.nn.Linear)}


def grams_of(model, block, windows):
    """X^T X in float64 of the inputs that the block's layers have, by layer."""
    grams, handles = {}, []

    def add(name):
        def hook(_, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            grams[name] = grams.get(name, 0) + x.T @ x
        return hook

    def stop(*_):
        raise BlockDone

    for name, module in linears_of(block).items():
        handles.append(module.register_forward_pre_hook(add(name)))
    handles.append(block.register_forward_hook(stop))
    with torch.no_grad():
        for window in windows:
            try:
                model(torch.tensor([window]))
            except BlockDone:
                pass
    for handle in handles:
        handle.remove()
    return grams


def solve(method, argument, weight, gram):
    left = torch.arange(weight.shape[1])
    if method == "wanda":
        return weight * choose((weight * torch.diag(gram).sqrt()).abs(), argument)
    if method == "sparsegpt":
        return sweep(weight, gram, left, argument)
    by_norm = torch.sort(torch.diag(gram), descending=True, stable=True).indices
    return sweep(weight, gram, by_norm, grid=Grid(weight, argument))


def compress(model, case, windows):
    method, argument = case.split()
    for block in model.model.layers:
        grams = grams_of(model, block, windows)
        for name, module in linears_of(block).items():
            solved = solve(method, argument, module.weight.detach().double(), grams[name])
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
        for case, flags in CASES.items():
            out = f"{scratch}/out"
            # More samples than there are: all windows, in their order.
            subprocess.run([scant, "compress", folder, "-o", out, "--force", "--quiet", "--calibration", cut, "--samples",
                            "1000000", "--window", str(WINDOW), *flags], check=True, stdout=subprocess.DEVNULL)
            ours = scant_json(scant, "eval", out, "--text", text_file, "--json", "--max-tokens", str(max_tokens))["perplexity"]
            model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
            compress(model, case, windows)
            theirs = perplexity_of(model, ids)
            difference = ours / theirs - 1
            good = math.isfinite(difference) and abs(difference) <= TOLERANCE
            failures += not good
            print(f"{'ok  ' if good else 'FAIL'} {case}: scant {ours:.4f}, torch {theirs:.4f}, {difference:+.3%}", flush=True)
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
