#!/usr/bin/env python3
"""The forward pass of bench_forward in PyTorch on the CPU, same dtype, threads and windows.

    pip install torch transformers
    bench/peers/torch_forward.py MODEL --with build/release/bench/bench_forward

With --with, the two run alternately and the ratio of their tokens/s is printed; without, PyTorch
alone. PyTorch gets the batch size that is fastest for it. Both compute the log-likelihood
normaliser of every position and no gradients. The ratio by processor time is the steadier one on a
machine that others use too.
"""

import argparse
import json
import statistics
import subprocess
import time

import torch
from transformers import AutoModelForCausalLM


def forward(model, ids, batch):
    with torch.inference_mode():
        for begin in range(0, len(ids), batch):
            logits = model(ids[begin : begin + batch], use_cache=False).logits
            torch.logsumexp(logits, dim=-1)


def rates(model, ids, batch):
    """Tokens per second, and per second of processor time of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    forward(model, ids, batch)
    return ids.numel() / (time.perf_counter() - wall), ids.numel() / (time.process_time() - cpu)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--with", dest="peer", help="path of bench_forward")
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, model.config.vocab_size, (arguments.windows, arguments.window),
                        generator=generator)

    sizes = [size for size in (1, 2, 4, 8) if size <= arguments.windows]
    forward(model, ids, 1)
    batch = max(sizes, key=lambda size: rates(model, ids, size)[0])
    torch_rates, scant_rates = [], []
    for _ in range(arguments.rounds):
        torch_rates.append(rates(model, ids, batch))
        if arguments.peer:
            command = [arguments.peer, arguments.model, "--windows", str(arguments.windows),
                       "--window", str(arguments.window), "--threads", str(arguments.threads),
                       "--rounds", "1", "--json"]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            values = json.loads(output)
            scant_rates.append((values["tokens_per_second"], values["tokens_per_cpu_second"]))
    result = {"model": arguments.model, "threads": arguments.threads, "batch": batch,
              "torch": torch.__version__,
              "torch_tokens_per_second": statistics.median(rate for rate, _ in torch_rates)}
    if arguments.peer:
        result["scant_tokens_per_second"] = statistics.median(rate for rate, _ in scant_rates)
        pairs = list(zip(scant_rates, torch_rates))
        result["ratio"] = statistics.median(s[0] / t[0] for s, t in pairs)
        result["ratio_by_cpu_time"] = statistics.median(s[1] / t[1] for s, t in pairs)
    if arguments.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:24} {value:.3f}" if isinstance(value, float) else f"{key:24} {value}")


if __name__ == "__main__":
    main()
