"""The folders that `scant compress` writes load in transformers and give scant's own perplexity.

Usage: check_transformers.py SCANT MODEL TEXT [MAX_TOKENS]
"""

import json
import math
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

WINDOW = 512
RECIPES = {
    "2:4, type of the source": ["--sparsity", "2:4"],
    "2:4 then int4:g128": ["--sparsity", "2:4", "--weights", "int4:g128"],
    "mxfp4 then 50%": ["--sparsity", "50%", "--weights", "mxfp4", "--order", "quantize-first"],
}


def scant_json(*arguments):
    return json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout)  # errors are seen


def perplexity_of(model, ids):
    """Fixed windows, no special tokens, mean NLL over positions 1..w-1."""
    total = count = 0
    with torch.no_grad():
        for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
            window = torch.tensor([ids[begin : begin + WINDOW]])
            log_p = torch.log_softmax(model(window).logits[0, :-1].double(), dim=-1)
            total -= log_p.gather(1, window[0, 1:, None]).sum().item()
            count += WINDOW - 1
    return math.exp(total / count)


def perplexity(folder, text, max_tokens):
    """Of a folder and its tokenizer, and the ids."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config_dtype = json.load(open(f"{folder}/config.json")).get("torch_dtype", "float32")
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=getattr(torch, config_dtype))
    model = model.float().eval()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][:max_tokens]
    return perplexity_of(model, ids), ids


def main():
    scant, model, text_file = sys.argv[1:4]
    max_tokens = int(sys.argv[4]) if len(sys.argv) > 4 else 8192
    text = open(text_file, encoding="utf-8", newline="").read()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        folders = {"dense": model}
        for index, (name, flags) in enumerate(RECIPES.items()):
            folders[name] = f"{scratch}/{index}"
            subprocess.run([scant, "compress", model, "-o", folders[name], "--quiet", *flags],
                           check=True, stdout=subprocess.DEVNULL)
        for name, folder in folders.items():
            ours = scant_json(scant, "eval", folder, "--text", text_file, "--json",
                              "--max-tokens", str(max_tokens))["perplexity"]
            theirs, ids = perplexity(folder, text, max_tokens)
            same_ids = scant_json(scant, "tokenize", folder, "--text", text_file)[: len(ids)] == ids
            relative = abs(ours / theirs - 1)
            good = relative < 1e-4 and same_ids
            failures += not good
            print(f"{'ok  ' if good else 'FAIL'} {name}: scant {ours:.5f}, transformers {theirs:.5f}, "
                  f"relative difference {relative:.1e}, ids {'identical' if same_ids else 'DIFFER'}")
    print(f"{len(folders) - failures} passed, {failures} failed")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
