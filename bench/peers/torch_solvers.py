#!/usr/bin/env python3
"""GPTQ, SparseGPT and the latter's joint pass on one layer in PyTorch on the CPU, in float32, the way
their authors' programs go: blocks of 128 columns, lazy updates of what follows, one column at a time
inside (arXiv 2210.17323 and 2301.00774, algorithm 1 of both).

    pip install torch
    bench/peers/torch_solvers.py --with build/release/bench/bench_solvers

With --with, bench_solvers runs alternately and the ratios of the times are printed, from the Gram
matrix to the compressed weight, factorisation included; without, PyTorch alone. Both make random
inputs of the same kind. The ratio by processor time is the steadier one on a machine that others use.
"""

import argparse
import json
import statistics
import subprocess
import time

import torch

BLOCK = 128


def make_gram(cols, tokens):
    inputs = torch.randn(tokens, cols) + torch.randn(tokens, 64) @ (0.2 * torch.randn(64, cols))
    inputs *= torch.exp(0.7 * torch.randn(cols))
    return inputs.T @ inputs


def factor_of(gram):
    h = gram.clone()
    diagonal = torch.arange(len(h))
    h[diagonal, diagonal] += 0.01 * torch.mean(torch.diag(h))
    h = torch.cholesky_inverse(torch.linalg.cholesky(h))
    return torch.linalg.cholesky(h, upper=True)


def scales_of(weight, bits, group):
    """Static groups: chosen from the weights as they come."""
    largest = weight.abs().reshape(len(weight), -1, group).amax(dim=2)
    scales = largest / ((2**bits - 1) / 2)
    return torch.where(scales == 0, torch.ones_like(scales), scales).bfloat16().float()


def rounded(values, scale, bits):
    half = 2 ** (bits - 1)
    return torch.clamp(torch.round(values / scale), -half, half - 1) * scale


def sweep(weight, gram, bits=None, group=128, n_of_m=None, by_norm=False):
    w = weight.clone()
    scales = scales_of(w, bits, group) if bits else None
    order = None
    if by_norm:
        order = torch.argsort(torch.diag(gram), descending=True)
        w, gram = w[:, order], gram[order][:, order]
    upper = factor_of(gram)
    cols = w.shape[1]
    for begin in range(0, cols, BLOCK):
        end = min(begin + BLOCK, cols)
        block = w[:, begin:end].clone()
        result, errors = torch.zeros_like(block), torch.zeros_like(block)
        near = upper[begin:end, begin:end]
        pruned = torch.zeros_like(block, dtype=torch.bool)
        for j in range(end - begin):
            column = block[:, j]
            if n_of_m and j % n_of_m[1] == 0:
                n, m = n_of_m
                loss = block[:, j:j + m] ** 2 / torch.diag(near)[j:j + m] ** 2
                pruned.scatter_(1, j + torch.topk(loss, m - n, dim=1, largest=False)[1], True)
            value = column
            if bits:
                at = int(order[begin + j]) if by_norm else begin + j
                value = rounded(column, scales[:, at // group], bits)
            if n_of_m:
                value = value.clone()
                value[pruned[:, j]] = 0
            result[:, j] = value
            error = (column - value) / near[j, j]
            block[:, j:] -= error.unsqueeze(1).matmul(near[j, j:].unsqueeze(0))
            errors[:, j] = error
        w[:, begin:end] = result
        w[:, end:] -= errors.matmul(upper[begin:end, end:])
    return w[:, torch.argsort(order)] if by_norm else w


def methods(n_of_m, bits, group):
    return {
        "gptq": {"bits": bits, "group": group, "by_norm": True},
        "sparsegpt": {"n_of_m": n_of_m},
        "one-pass": {"bits": bits, "group": group, "n_of_m": n_of_m},
    }


def times_of_peer(arguments):
    command = [arguments.peer, "--rows", str(arguments.rows), "--cols", str(arguments.cols),
               "--threads", str(arguments.threads), "--rounds", "1", "--json",
               "--sparsity", arguments.sparsity, "--weights",
               f"int{arguments.bits}:g{arguments.group}", "--only", "whole, "]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="peer", help="path of bench_solvers")
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--cols", type=int, default=4096)
    parser.add_argument("--sparsity", default="2:4")
    parser.add_argument("--bits", type=int, default=4)
    parser.add_argument("--group", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    gram = make_gram(arguments.cols, 2 * arguments.cols)
    weight = 0.02 * torch.randn(arguments.rows, arguments.cols)
    n_of_m = tuple(int(part) for part in arguments.sparsity.split(":"))
    walls, cpus = {}, {}
    with torch.inference_mode():
        for _ in range(arguments.rounds):
            peer = times_of_peer(arguments) if arguments.peer else {}
            for name, what in methods(n_of_m, arguments.bits, arguments.group).items():
                wall, cpu = time.perf_counter(), time.process_time()
                sweep(weight, gram, **what)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                ours = peer.get(f"whole, {name}")
                walls.setdefault(name, []).append((wall, ours["seconds"] if ours else 0))
                cpus.setdefault(name, []).append((cpu, ours["cpu_seconds"] if ours else 0))
    print(f"torch {torch.__version__}, {arguments.rows} x {arguments.cols}, "
          f"{arguments.threads} thread(s)")
    for name in walls:
        line = f"{name:12} torch {statistics.median(t for t, _ in walls[name]):7.2f} s"
        if arguments.peer:
            line += f", scant {statistics.median(s for _, s in walls[name]):7.2f} s"
            line += f", ratio {statistics.median(t / s for t, s in walls[name]):5.2f}"
            line += f", by processor time {statistics.median(t / s for t, s in cpus[name]):5.2f}"
        print(line)


if __name__ == "__main__":
    main()
