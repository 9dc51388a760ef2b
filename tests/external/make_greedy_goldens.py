#!/usr/bin/env python3
"""Makes tests/goldens/generate/greedy.json: what transformers continues texts with, greedily, in
float32, with the embedded model. Continuations end before a choice that is closer than 0.001.

    pip install torch transformers
    tests/external/make_greedy_goldens.py
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent.parent
PROMPTS = ["The old sailor", "“What has the wretch been doing to him?”\n\n“", "1. ", "Chapter IV — the café\n"]
MOST = 96


def main():
    folder = ROOT / "assets/quill-llama-5m"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                 attn_implementation="eager")
    cases = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt)["input_ids"]
        made = []
        while len(made) < MOST:
            with torch.no_grad():
                top = torch.topk(model(torch.tensor([ids + made])).logits[0, -1], 2)
            if top.values[0] - top.values[1] < 1e-3 or top.indices[0] == tokenizer.eos_token_id:
                break
            made.append(int(top.indices[0]))
        whole = tokenizer.decode(ids + made)
        cases.append(dict(prompt=prompt, ids=ids, continuation=made,
                          text=whole[len(tokenizer.decode(ids)):]))
    path = ROOT / "tests/goldens/generate/greedy.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")
    print([len(c["continuation"]) for c in cases])


if __name__ == "__main__":
    main()
