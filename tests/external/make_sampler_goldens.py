#!/usr/bin/env python3
"""Makes tests/goldens/sampler/sampler.json: what transformers' logits processors leave of logits.

    pip install torch transformers
    tests/external/make_sampler_goldens.py [FILE]

Each case has logits, tokens so far, options, and the probabilities that sampling would draw from.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                          TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

OPTIONS = [
    dict(temperature=1.0),
    dict(temperature=0.7),
    dict(temperature=1.0, top_k=5),
    dict(temperature=1.0, top_k=1000),
    dict(temperature=1.0, top_p=0.9),
    dict(temperature=1.0, top_p=0.3),
    dict(temperature=1.0, top_p=0.001),
    dict(temperature=1.0, min_p=0.1),
    dict(temperature=2.0, min_p=1.0),
    dict(temperature=1.0, repetition_penalty=1.3),
    dict(temperature=1.0, repetition_penalty=0.8),
    dict(temperature=0.8, top_k=12, top_p=0.95, min_p=0.05, repetition_penalty=1.1),
    dict(temperature=1.7, top_k=30, top_p=0.6, min_p=0.2, repetition_penalty=1.5),
]


def processors(o):
    """In the order of transformers' GenerationMixin._get_logits_processor."""
    made = LogitsProcessorList()
    if "repetition_penalty" in o:
        made.append(RepetitionPenaltyLogitsProcessor(o["repetition_penalty"]))
    made.append(TemperatureLogitsWarper(o["temperature"]))
    if "top_k" in o:
        made.append(TopKLogitsWarper(o["top_k"]))
    if "top_p" in o:
        made.append(TopPLogitsWarper(o["top_p"]))
    if "min_p" in o:
        made.append(MinPLogitsWarper(o["min_p"]))
    return made


def main():
    default = Path(__file__).resolve().parent.parent / "goldens/sampler/sampler.json"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    cases = []
    for seed, options in enumerate(OPTIONS * 2):
        random = torch.Generator().manual_seed(seed)
        spread = 3.0 if seed < len(OPTIONS) else 0.8
        logits = torch.round(spread * torch.randn(60, generator=random) * 1000) / 1000
        if seed % 3 == 0:
            logits[10:14] = logits.max()  # equals at the top
        tokens = torch.randint(0, 60, (20,), generator=random)
        left = processors(options)(tokens[None], logits[None].clone())
        cases.append(dict(options=options, tokens=tokens.tolist(),
                          logits=[round(x, 3) for x in logits.tolist()],
                          probabilities=[round(p, 8) for p in left.softmax(-1)[0].tolist()]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
