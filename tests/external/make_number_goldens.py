#!/usr/bin/env python3
"""Remakes tests/goldens/numbers/numbers.bin, what independent implementations say about every
number format. Needs numpy, torch and ml_dtypes; run it from the repository root:

    python3 tests/external/make_number_goldens.py

Nothing here calls or copies the project's own codec. Elements come from ml_dtypes (FP8, FP6, FP4,
bf16), torch (integers, ternary, binary, NF4, fp16) or a table built from the definition (other mini
floats); shared scales follow the OCP Microscaling 1.0 specification with rounding to even, the
HBFP and NVFP4 definitions; a real scale is rounded up to its storage in exact arithmetic.

File, little-endian: "SCNTNUM1"; u32 inputs, each u32 rows, u32 cols, f32[rows * cols]; u32 cases,
each u32 length, spelling, u8 role (0 weight, 1 activation), u32 input, f32[rows * cols] simulated
values; u32 tables, each u32 length, spelling, u32 count, f32[count] values by code (NaN: no number).
"""

import math
import struct
import sys
from fractions import Fraction

import ml_dtypes
import numpy as np
import torch

F32 = np.float32
MX_FLOATS = {
    # spelling: (ml_dtypes type, largest, emax)
    "mxfp8_e4m3": (ml_dtypes.float8_e4m3fn, 448.0, 8),
    "mxfp8_e5m2": (ml_dtypes.float8_e5m2, 57344.0, 15),
    "mxfp6_e3m2": (ml_dtypes.float6_e3m2fn, 28.0, 4),
    "mxfp6_e2m3": (ml_dtypes.float6_e2m3fn, 7.5, 2),
    "mxfp4": (ml_dtypes.float4_e2m1fn, 6.0, 2),
}
FLOATS = {
    "fp8_e4m3": MX_FLOATS["mxfp8_e4m3"],
    "fp8_e5m2": MX_FLOATS["mxfp8_e5m2"],
    "fp6_e3m2": MX_FLOATS["mxfp6_e3m2"],
    "fp6_e2m3": MX_FLOATS["mxfp6_e2m3"],
    "fp4_e2m1": MX_FLOATS["mxfp4"],
}
# Appendix E of the QLoRA paper, as published in bitsandbytes.
NF4 = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
     -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
     0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
     0.7229568362236023, 1.0], dtype=F32)


# --- scales -------------------------------------------------------------------------------------

# Mantissa bits, exponent of the smallest normal number, largest value.
STORAGE = {"fp32": (23, -126, Fraction(2) ** 128 - Fraction(2) ** 104),
           "bf16": (7, -126, Fraction(2) ** 128 - Fraction(2) ** 120),
           "fp16": (10, -14, Fraction(65504)),
           "e8m0": (0, -127, Fraction(2) ** 127),
           "e4m3": (3, -6, Fraction(448))}


def round_up(wanted, storage):
    """The smallest storable number >= wanted, in exact arithmetic."""
    mantissa, smallest, largest = STORAGE[storage]
    wanted = Fraction(wanted)
    if wanted >= largest:
        return F32(float(largest))
    exponent = smallest
    while Fraction(2) ** (exponent + 1) <= wanted:
        exponent += 1
    step = Fraction(2) ** (exponent - mantissa)
    return F32(float(math.ceil(wanted / step) * step))


def floor_log2(x):
    mantissa, exponent = math.frexp(x)  # x = mantissa * 2^exponent, 0.5 <= mantissa < 1
    return exponent - 1


def ceil_log2(x):
    mantissa, exponent = math.frexp(x)
    return exponent - 1 if mantissa == 0.5 else exponent


# --- elements: y in units of the scale -> value of the nearest code -----------------------------

def by_ml_dtypes(dtype, largest):
    def element(y):
        return np.clip(y, -largest, largest).astype(F32).astype(dtype).astype(F32)
    return element


def mini_float_table(exponent_bits, mantissa_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    values = []
    for field in range(2 ** exponent_bits):
        for fraction in range(2 ** mantissa_bits):
            if field == 0:
                values.append(math.ldexp(fraction, 1 - bias - mantissa_bits))
            else:
                values.append(math.ldexp(2 ** mantissa_bits + fraction, field - bias - mantissa_bits))
    return np.array(values)


def by_table(values):
    """Nearest of sorted magnitudes, ties to the even index."""
    middles = (values[1:] + values[:-1]) / 2
    def element(y):
        magnitude = np.abs(y.astype(np.float64))
        upper = np.searchsorted(middles, magnitude, side="right")  # tie -> upper
        lower = np.searchsorted(middles, magnitude, side="left")   # tie -> lower
        index = np.where(lower % 2 == 0, lower, upper)
        return (np.sign(y) * values[index]).astype(F32)
    return element


def by_nf4(y):
    distance = (torch.from_numpy(y)[:, None] - torch.from_numpy(NF4)[None, :]).abs()
    return NF4[distance.argmin(dim=1).numpy()]


def by_integers(low, high):
    def element(y):
        return torch.clamp(torch.round(torch.from_numpy(y)), low, high).numpy()
    return element


# --- blocks -------------------------------------------------------------------------------------

def blocks_of(matrix, granularity):
    """Views of the blocks that share a scale."""
    if granularity == "tensor":
        return [matrix]
    if granularity == "row":
        return [row for row in matrix]
    return [row[i:i + granularity] for row in matrix for i in range(0, len(row), granularity)]


def simulate(matrix, granularity, quantize_block):
    out = matrix.copy()
    for source, target in zip(blocks_of(matrix, granularity), blocks_of(out, granularity)):
        target[...] = quantize_block(source.ravel()).reshape(source.shape)
    return out


def absmax(block):
    return Fraction(float(np.abs(block).max()))


def search(block, candidates):
    """The simulated values with the least squared error; the first of equals."""
    best, least = None, None
    for values in candidates:
        error = ((values.astype(np.float64) - block.astype(np.float64)) ** 2).sum()
        if least is None or error < least:
            best, least = values, error
    return best


def real_scaled(element, reach, storage, mse=False):
    def block_values(block):
        top = absmax(block)
        if top == 0:
            return np.zeros_like(block)
        def at(factor):
            scale = round_up(top / Fraction(reach) * factor, storage)
            return element(block / scale) * scale
        if not mse:
            return at(1)
        if storage == "e8m0":
            return search(block, [at(1), at(Fraction(1, 2)), at(2)])
        return search(block, [at(Fraction(100 - i, 100)) for i in range(80)])
    return block_values


def gptq_full(bits, storage):
    """Symmetric grid of GPTQ's Quantizer (perchannel, sym): unsigned codes around 2^(b-1)."""
    maxq = 2 ** bits - 1
    def block_values(block):
        top = absmax(block)
        if top == 0:
            return np.zeros_like(block)
        scale = torch.tensor(round_up(2 * top / maxq, storage))
        zero = (maxq + 1) / 2
        x = torch.from_numpy(block)
        q = torch.clamp(torch.round(x / scale) + zero, 0, maxq)
        return (scale * (q - zero)).numpy()
    return block_values


def gptq_asym(bits, storage):
    maxq = 2 ** bits - 1
    def block_values(block):
        low = min(Fraction(float(block.min())), 0)
        high = max(Fraction(float(block.max())), 0)
        if low == high:
            return np.zeros_like(block)
        scale = torch.tensor(round_up((high - low) / maxq, storage))
        zero = torch.clamp(torch.round(torch.tensor(-F32(float(low))) / scale), 0, maxq)
        q = torch.clamp(torch.round(torch.from_numpy(block) / scale) + zero, 0, maxq)
        return (scale * (q - zero)).numpy()
    return block_values


def mx_values(block, exponent, element):
    scale = F32(math.ldexp(1.0, min(max(exponent, -127), 127)))
    return element(block / scale) * scale


def mx(spelling, mse=False):
    if spelling == "mxint8":
        emax = 0
        def element(y):  # 8 bits, 6 of them behind the point; symmetric
            return np.clip(np.rint(y.astype(np.float64) * 64), -127, 127).astype(F32) / F32(64)
    else:
        dtype, largest, emax = MX_FLOATS[spelling]
        exponent_bits, mantissa_bits = (2, 1) if spelling == "mxfp4" else map(int, spelling[-3::2])
        cast = by_ml_dtypes(dtype, largest)
        def element(y):
            values = microxcaling_element(y, exponent_bits, mantissa_bits, largest)
            assert (values == cast(y)).all(), spelling
            return values
    def block_values(block):
        top = float(np.abs(block).max())
        if top == 0:
            return np.zeros_like(block)
        exponent = floor_log2(top) - emax
        if not mse:
            return mx_values(block, exponent, element)
        return search(block, [mx_values(block, exponent + i, element) for i in (0, -1, 1)])
    return block_values


def microxcaling_element(y, exponent_bits, mantissa_bits, largest):
    """The element rounding of the microxcaling emulation, from its description: a private exponent
    per value, not below that of the smallest normal number, rounding to even, saturation."""
    y = y.astype(np.float64)
    smallest = 2 - 2 ** (exponent_bits - 1)
    private = np.maximum(np.floor(np.log2(np.abs(y) + (y == 0))), smallest)
    step = 2.0 ** (private - mantissa_bits)
    return np.clip(np.rint(y / step) * step, -largest, largest).astype(F32)


def hbfp(bits):
    def block_values(block):
        top = float(np.abs(block).max())
        if top == 0:
            return np.zeros_like(block)
        exponent = ceil_log2(top)
        step = math.ldexp(1.0, exponent - (bits - 1))
        values = np.rint(block.astype(np.float64) / step) * step
        return np.clip(values, -(2.0 ** exponent - step), 2.0 ** exponent - step).astype(F32)
    return block_values


def nvfp4(matrix, per_token=False, mse=False):
    if per_token:
        return np.concatenate([nvfp4(row[None, :]) for row in matrix])
    top = absmax(matrix)
    if top == 0:
        return np.zeros_like(matrix)
    outer = round_up(top / (448 * 6), "fp32")
    element = by_ml_dtypes(ml_dtypes.float4_e2m1fn, 6.0)
    def block_values(block):
        if absmax(block) == 0:
            return np.zeros_like(block)
        def at(factor):
            # The quotient of the definition is taken in double.
            inner = round_up(float(absmax(block)) / 6.0 * factor / float(outer), "e4m3")
            # Stored in E4M3: exact there.
            assert inner.astype(ml_dtypes.float8_e4m3fn).astype(F32) == inner
            scale = inner * outer
            return element(block / scale) * scale
        if not mse:
            return at(1)
        return search(block, [at((100 - i) / 100) for i in range(80)])
    return simulate(matrix, 16, block_values)


def mean_scaled(storage, to_codes):
    def block_values(block):
        mean = math.fsum(np.abs(block.astype(np.float64))) / len(block)
        if mean == 0:
            return np.zeros_like(block)
        scale = round_up(mean, storage)
        return to_codes(torch.from_numpy(block / scale)).numpy().astype(F32) * scale
    return block_values


def ternary_codes(y):
    return torch.clamp(torch.round(y), -1, 1)


def binary_codes(y):
    return torch.where(y < 0, -1.0, 1.0)


# --- inputs -------------------------------------------------------------------------------------

def mixed_input(rng):
    """Rows that differ in kind: normal, bf16 (ties), small integers (ties), powers of two, zeros,
    heavy tails, large and tiny magnitudes. 80 columns: tails for blocks of 32 and 64."""
    cols = 80
    rows = [
        rng.standard_normal(cols),
        rng.standard_normal(cols).astype(ml_dtypes.bfloat16).astype(F32),
        np.rint(3 * rng.standard_normal(cols)),
        np.sign(rng.standard_normal(cols)) * 2.0 ** np.rint(2 * rng.standard_normal(cols)),
        np.concatenate([np.zeros(64), rng.standard_normal(16)]),
        0.02 * rng.standard_t(2, cols),
        3e4 * rng.standard_normal(cols) ** 3,
        1e-30 * rng.standard_normal(cols),
    ]
    return np.array(rows, dtype=F32)


def rounding_input(rng, table):
    """One row whose scale is exactly 1: the largest element, every value, every middle, both sides
    of some middles, some random ones."""
    values = table[np.isfinite(table)]
    middles = ((values[1:] + values[:-1]) / 2).astype(F32)
    near = rng.choice(middles, min(40, len(middles)), replace=False)
    row = np.concatenate([values[::-1], middles, np.nextafter(near, F32(0)),
                          np.nextafter(near, F32(1e30)), rng.uniform(0, values[-1], 40)])
    return (row * rng.choice([-1.0, 1.0], len(row))).astype(F32)[None, :]


class Fixture:
    def __init__(self):
        self.inputs, self.cases, self.tables = [], [], []

    def input(self, matrix):
        self.inputs.append(matrix.astype(F32))
        return len(self.inputs) - 1

    def case(self, spelling, source, values, role=0):
        assert values.dtype == F32 and values.shape == self.inputs[source].shape, spelling
        assert np.isfinite(values).all(), spelling
        self.cases.append((spelling, role, source, values + F32(0)))  # no negative zeros

    def write(self, path):
        out = [b"SCNTNUM1", struct.pack("<I", len(self.inputs))]
        for matrix in self.inputs:
            out += [struct.pack("<II", *matrix.shape), matrix.astype("<f4").tobytes()]
        out.append(struct.pack("<I", len(self.cases)))
        for spelling, role, source, values in self.cases:
            out += [struct.pack("<I", len(spelling)), spelling.encode(),
                    struct.pack("<BI", role, source), values.astype("<f4").tobytes()]
        out.append(struct.pack("<I", len(self.tables)))
        for spelling, values in self.tables:
            out += [struct.pack("<I", len(spelling)), spelling.encode(),
                    struct.pack("<I", len(values)), values.astype("<f4").tobytes()]
        data = b"".join(out)
        with open(path, "wb") as file:
            file.write(data)
        return len(data)


def add_integers(fixture, source, matrix):
    for bits in range(2, 9):
        name = f"int{bits}"
        fixture.case(name, source, simulate(matrix, "row", gptq_full(bits, "fp32")))
        # GPTQ keeps the float32 quotient as it is; rounding it up changes nothing but the last bit.
        top = np.abs(matrix).max(axis=1, keepdims=True)
        plain = torch.fake_quantize_per_channel_affine(
            torch.from_numpy(matrix), torch.from_numpy(2 * top[:, 0] / (2 ** bits - 1)),
            torch.zeros(len(matrix), dtype=torch.int32), 0, -2 ** (bits - 1), 2 ** (bits - 1) - 1)
        agree = np.isclose(plain.numpy()[:4], fixture.cases[-1][3][:4], rtol=1e-6, atol=0)
        assert agree.mean() > 0.98, (name, agree.mean())
    for bits in (8, 4, 2):
        high = 2 ** (bits - 1) - 1
        element = by_integers(-high, high)
        fixture.case(f"int{bits}:narrow", source,
                     simulate(matrix, "row", real_scaled(element, high, "fp32")))
        fixture.case(f"int{bits}:asym", source, simulate(matrix, "row", gptq_asym(bits, "fp32")))
    fixture.case("int4:g32", source, simulate(matrix, 32, gptq_full(4, "bf16")))
    fixture.case("int4:g32:asym", source, simulate(matrix, 32, gptq_asym(4, "bf16")))
    fixture.case("int8:tensor", source, simulate(matrix, "tensor", gptq_full(8, "fp32")))
    fixture.case("int4:g16:scale=fp16", source, simulate(matrix, 16, gptq_full(4, "fp16")))
    fixture.case("int4:g16:scale=e4m3", source, simulate(matrix, 16, gptq_full(4, "e4m3")))
    fixture.case("int8:scale=e8m0", source, simulate(matrix, "row", gptq_full(8, "e8m0")))
    narrow = by_integers(-7, 7)
    fixture.case("int4:g32:narrow:mse", source,
                 simulate(matrix, 32, real_scaled(narrow, 7, "bf16", mse=True)))
    fixture.case("int4:narrow:mse:scale=e8m0", source,
                 simulate(matrix, "row", real_scaled(narrow, 7, "e8m0", mse=True)))


def add_floats(fixture, source, matrix, rng):
    for name, (dtype, largest, _) in FLOATS.items():
        element = by_ml_dtypes(dtype, largest)
        fixture.case(name, source, simulate(matrix, "row", real_scaled(element, largest, "fp32")))
        bits = int(name[2])
        codes = np.arange(2 ** bits, dtype=np.uint8)
        values = codes.view(dtype).astype(F32)
        fixture.tables.append((name, np.where(np.isfinite(values), values, np.nan).astype(F32)))
        positive = values[:2 ** (bits - 1)]
        row = rounding_input(rng, positive)
        assert np.abs(row).max() == largest
        fixture.case(name, fixture.input(row), element(row))
        other = microxcaling_element(row, int(name[5]), int(name[7]), largest)
        assert (other == element(row)).all(), name
    fixture.case("fp4_e2m1:g32", source,
                 simulate(matrix, 32, real_scaled(by_ml_dtypes(ml_dtypes.float4_e2m1fn, 6.0), 6, "bf16")))
    for name in ("fp8_e3m4", "fp5_e2m2", "fp4_e3m0", "fp4_e1m2", "fp3_e2m0", "fp7_e3m3"):
        table = mini_float_table(int(name[5]), int(name[7]))
        element = by_table(table)
        fixture.case(name, source,
                     simulate(matrix, "row", real_scaled(element, float(table[-1]), "fp32")))


def add_blocks(fixture, source, matrix):
    for name in [*MX_FLOATS, "mxint8"]:
        fixture.case(name, source, simulate(matrix, 32, mx(name)))
    fixture.case("mxfp4:block=16", source, simulate(matrix, 16, mx("mxfp4")))
    fixture.case("mxfp4:mse", source, simulate(matrix, 32, mx("mxfp4", mse=True)))
    fixture.case("mxint8:mse", source, simulate(matrix, 32, mx("mxint8", mse=True)))
    for bits in (8, 6, 4):
        fixture.case(f"hbfp{bits}", source, simulate(matrix, 64, hbfp(bits)))
    fixture.case("hbfp4:block=16", source, simulate(matrix, 16, hbfp(4)))
    fixture.case("nvfp4", source, nvfp4(matrix))
    fixture.case("nvfp4", source, nvfp4(matrix, per_token=True), role=1)
    fixture.case("nvfp4:mse", source, nvfp4(matrix, mse=True))
    fixture.case("nf4", source, simulate(matrix, 64, real_scaled(by_nf4, 1, "bf16")))
    fixture.case("nf4:channel", source, simulate(matrix, "row", real_scaled(by_nf4, 1, "fp32")))
    fixture.tables.append(("nf4", NF4))
    fixture.tables.append(("nvfp4", np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn)
                           .astype(F32)))


def add_others(fixture, source, matrix):
    fixture.case("ternary", source, simulate(matrix, "row", mean_scaled("fp32", ternary_codes)))
    fixture.case("ternary:g32", source, simulate(matrix, 32, mean_scaled("bf16", ternary_codes)))
    fixture.case("binary", source, simulate(matrix, "row", mean_scaled("fp32", binary_codes)))
    fixture.case("fp32", source, matrix.copy())
    fixture.case("bf16", source, matrix.astype(ml_dtypes.bfloat16).astype(F32))
    half = torch.from_numpy(matrix).to(torch.float16).float().numpy()
    fixture.case("fp16", source, np.clip(half, -65504, 65504).astype(F32))


def main():
    rng = np.random.default_rng(20240)
    fixture = Fixture()
    matrix = mixed_input(rng)
    source = fixture.input(matrix)
    add_integers(fixture, source, matrix)
    add_floats(fixture, source, matrix, rng)
    add_blocks(fixture, source, matrix)
    add_others(fixture, source, matrix)
    path = "tests/goldens/numbers/numbers.bin"
    size = fixture.write(path)
    print(f"{path}: {len(fixture.inputs)} inputs, {len(fixture.cases)} cases, {size} bytes; "
          f"torch {torch.__version__}, ml_dtypes {ml_dtypes.__version__}, numpy {np.__version__}",
          file=sys.stderr)


if __name__ == "__main__":
    main()
