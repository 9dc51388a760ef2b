#!/usr/bin/env python3
"""Remakes tests/goldens/solvers/solvers.bin: what plain float64 implementations of the calibrated
methods, written from the papers, make of one weight. Needs numpy, torch and ml_dtypes; run it from
the repository root:

    python3 tests/external/make_solver_goldens.py

Wanda: arXiv 2306.11695. SparseGPT and its one-pass joint: arXiv 2301.00774, algorithm 1. GPTQ:
arXiv 2210.17323, algorithm 1, with columns by decreasing diag(H) ("act-order") and scales from the
weights as they come ("static groups"). ALPS: arXiv 2406.07831, algorithms 1 and 2, with the same
damping as the others. OBR: arXiv 2509.11177, row by row with exact inverses. AWQ: arXiv 2306.00978,
with root mean squares of inputs. imatrix: sum h_c (w - q)^2 over the scales of the format's search.

File, little-endian: "SCNTSLV1"; u32 rows, u32 cols, f32[rows * cols] weight, f32[cols * cols] Gram
matrix; u32 cases, each three texts (u32 length, bytes: method, pattern or empty, format or empty)
and f32[rows * cols] values.
"""

import struct
import sys

import ml_dtypes
import numpy as np
import torch

PATH = "tests/goldens/solvers/solvers.bin"
BLOCK = 128
DAMPING = 0.01


def weight_and_gram(rows=24, cols=160, tokens=400):
    rng = np.random.default_rng(7)
    weight = rng.standard_t(5, size=(rows, cols)) * np.exp(rng.normal(size=(rows, 1)) / 3)
    mixing = rng.normal(size=(cols, cols)) / np.sqrt(cols) + np.eye(cols)
    inputs = rng.normal(size=(tokens, cols)) @ mixing * np.exp(rng.normal(size=cols) / 2)
    weight = weight.astype(np.float32)
    gram = (inputs.T @ inputs).astype(np.float32)
    return weight, (gram + gram.T) / np.float32(2)


def inverse_factor(gram, order):
    h = gram[order][:, order].clone()
    h += DAMPING * torch.mean(torch.diag(h)) * torch.eye(len(h), dtype=h.dtype)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    return torch.linalg.cholesky(inverse, upper=True)


class Grid:
    """Symmetric integers over their full range; scales per row, or per group stored in bf16."""

    def __init__(self, weight, spelling, mask=None, shrink=1.0):
        element, _, group = spelling.partition(":g")
        self.bits = int(element.removeprefix("int"))
        self.group = int(group) if group else weight.shape[1]
        source = weight if mask is None else weight * mask
        scales = []
        for begin in range(0, weight.shape[1], self.group):
            largest = source[:, begin:begin + self.group].abs().amax(dim=1)
            scale = largest.numpy() * shrink / ((2**self.bits - 1) / 2)
            stored = scale.astype(np.float32)
            if group:  # the least bf16 number that is not smaller
                stored = scale.astype(ml_dtypes.bfloat16).astype(np.float64)
                up = stored < scale
                bits = stored.astype(np.float32).view(np.uint32)
                stored = np.where(up, (bits + np.uint32(0x10000)).view(np.float32), stored)
            scale = np.where(largest.numpy() == 0, 1.0, stored)
            scales.append(torch.from_numpy(scale.astype(np.float64)))
        self.scales = torch.stack(scales, dim=1)

    def round_all(self, values):
        columns = [self.round(values[:, c], c) for c in range(values.shape[1])]
        return torch.stack(columns, dim=1)

    def round(self, values, column):
        scale = self.scales[:, column // self.group]
        half = 2 ** (self.bits - 1)
        return torch.clamp(torch.round(values / scale), -half, half - 1) * scale


def losses_alone(weight, upper):
    return weight**2 / torch.diag(upper.T @ upper)


def choose(scores, pattern):
    """1 where kept: N:M along rows, or a share of all."""
    if ":" in pattern:
        n, m = (int(part) for part in pattern.split(":"))
        groups = scores.reshape(scores.shape[0], -1, m)
        keep = torch.zeros_like(groups)
        keep.scatter_(2, torch.topk(groups, n, dim=2).indices, 1.0)
        return keep.reshape(scores.shape)
    pruned = int(scores.numel() * float(pattern.rstrip("%")) / 100)
    keep = torch.ones(scores.numel(), dtype=scores.dtype)
    keep[torch.sort(scores.flatten()).indices[:pruned]] = 0.0
    return keep.reshape(scores.shape)


def sweep(weight, gram, order, pattern=None, grid=None, mask=None):
    """Algorithm 1 of both papers: block by block, each column's error spread over later columns."""
    upper = inverse_factor(gram, order)
    w = weight[:, order].clone()
    cols = w.shape[1]
    out = torch.zeros_like(w)
    n_of_m = pattern is not None and ":" in pattern
    for begin in range(0, cols, BLOCK):
        end = min(cols, begin + BLOCK)
        diagonal = torch.diag(upper)[begin:end]
        keep = torch.ones_like(w[:, begin:end]) if mask is None else mask[:, order][:, begin:end]
        if pattern is not None and not n_of_m:
            keep = choose((w[:, begin:end] / diagonal) ** 2, pattern)
        errors = torch.zeros_like(keep)
        for j in range(begin, end):
            if n_of_m:
                m = int(pattern.split(":")[1])
                if j % m == 0:
                    near = (w[:, j:j + m] / torch.diag(upper)[j:j + m]) ** 2
                    keep[:, j - begin:j - begin + m] = choose(near, pattern)
            kept = w[:, j] if grid is None else grid.round(w[:, j], int(order[j]))
            out[:, j] = kept * keep[:, j - begin]
            error = (w[:, j] - out[:, j]) / upper[j, j]
            errors[:, j - begin] = error
            w[:, j + 1:end] -= torch.outer(error, upper[j, j + 1:end])
        w[:, end:] -= errors @ upper[begin:end, end:]
    result = torch.zeros_like(out)
    result[:, order] = out
    return result


def alps(weight, gram, pattern):
    """Columns normalised, the multiplier method with growing penalty, then the exact least squares
    of the mask (their conjugate gradients stop before)."""
    cols = len(gram)
    h = gram + DAMPING * torch.mean(torch.diag(gram)) * torch.eye(cols, dtype=gram.dtype)
    norms = torch.diag(h).sqrt()
    g, target = h / torch.outer(norms, norms), weight * norms
    values, vectors = torch.linalg.eigh(g)
    rho, d, v = 0.1, target.clone(), torch.zeros_like(target)
    last = None
    for step in range(300):
        w = (target @ g - v + rho * d) @ vectors / (values + rho) @ vectors.T
        keep = choose((w + v / rho).abs(), pattern)
        d = (w + v / rho) * keep
        v = v + rho * (w - d)
        if step % 3 == 0:
            if last is not None:
                changed, kept = (keep != last).sum(), keep.sum()
                if changed == 0:
                    break
                rho *= 1.3 if changed >= 0.1 * kept else 1.2 if changed >= 0.005 * kept else 1.1
            last = keep
    return least_squares(weight, h, keep, torch.zeros_like(weight))


def least_squares(weight, h, free, values):
    """Row by row: free weights make good for what is wrong with the others."""
    result = values.clone()
    for r in range(len(weight)):
        index = free[r].bool()
        error = (values[r] - weight[r]) * ~index
        change = torch.linalg.solve(h[index][:, index], h[index] @ error)
        result[r, index] = weight[r, index] - change
    return result


def obr(weight, gram, pattern, spelling):
    left = torch.arange(weight.shape[1])
    h = gram + DAMPING * torch.mean(torch.diag(gram)) * torch.eye(len(gram), dtype=gram.dtype)
    keep = choose((weight * torch.diag(gram).sqrt()).abs(), pattern)
    w = least_squares(weight, h, keep, torch.zeros_like(weight))
    grid = Grid(w, spelling, keep)
    later = keep * (torch.cumsum(keep, dim=1) > torch.div(keep.sum(1, keepdim=True), 2,
                                                         rounding_mode="floor"))
    w = least_squares(weight, h, later, grid.round_all(w) * (keep - later))
    return sweep(w, gram, left, grid=grid, mask=keep)


def layer_error(weight, gram, values):
    return torch.sum((values - weight) @ gram * (values - weight))


def awq(weight, gram, spelling):
    inputs = torch.diag(gram).sqrt()
    best = None
    for step in range(20):
        scale = (inputs / inputs.max()).clamp(min=1e-4) ** (step / 20)
        scale = scale / (scale.max() * scale.min()).sqrt()
        scale = 1 / (1 / scale).half().double()
        values = Grid(weight * scale, spelling).round_all(weight * scale) / scale
        error = layer_error(weight, gram, values)
        if best is None or error < best[0]:
            best = error, values
    return best[1]


def imatrix(weight, gram, spelling):
    importance = torch.diag(gram)
    best = Grid(weight, spelling)
    group = best.group

    def errors(grid):
        squared = (grid.round_all(weight) - weight) ** 2 * importance
        return squared.reshape(len(weight), -1, group).sum(2)

    least = errors(best)
    for i in range(1, 80):
        tried = Grid(weight, spelling, shrink=(100 - i) / 100)
        error = errors(tried)
        best.scales = torch.where(error < least, tried.scales, best.scales)
        least = torch.minimum(error, least)
    return best.round_all(weight)


def cases(weight, gram):
    left = torch.arange(weight.shape[1])
    by_norm = torch.sort(torch.diag(gram), descending=True, stable=True).indices
    norms = torch.diag(gram).sqrt()
    for pattern in ("2:4", "50%"):
        yield "wanda", pattern, "", weight * choose((weight * norms).abs(), pattern)
        yield "sparsegpt", pattern, "", sweep(weight, gram, left, pattern)
    for spelling in ("int4", "int3:g32"):
        yield "gptq", "", spelling, sweep(weight, gram, by_norm, grid=Grid(weight, spelling))
    for pattern, spelling in (("2:4", "int4:g32"), ("50%", "int3")):
        upper = inverse_factor(gram, left)
        # Inside a group of N:M: what pruning costs when only later columns can make good for it.
        losses = (weight / torch.diag(upper))**2 if ":" in pattern else losses_alone(weight, upper)
        likely = choose(losses, pattern)
        grid = Grid(weight, spelling, likely)
        yield "one-pass", pattern, spelling, sweep(weight, gram, left, pattern, grid)
        yield "obr", pattern, spelling, obr(weight, gram, pattern, spelling)
    for pattern in ("2:4", "50%", "70%"):
        yield "alps", pattern, "", alps(weight, gram, pattern)
    for spelling in ("int4", "int3:g32"):
        yield "awq", "", spelling, awq(weight, gram, spelling)
        yield "imatrix", "", spelling, imatrix(weight, gram, spelling)


def main():
    weight, gram = weight_and_gram()
    wide = torch.from_numpy(weight).double(), torch.from_numpy(gram).double()
    content = b"SCNTSLV1" + struct.pack("<II", *weight.shape)
    content += weight.tobytes() + gram.tobytes()
    results = list(cases(*wide))
    content += struct.pack("<I", len(results))
    for *texts, values in results:
        for text in texts:
            content += struct.pack("<I", len(text)) + text.encode()
        content += values.float().numpy().tobytes()
    with open(PATH, "wb") as file:
        file.write(content)
    print(f"{PATH}: {len(results)} cases, {len(content)} bytes; torch {torch.__version__}",
          file=sys.stderr)


if __name__ == "__main__":
    main()
