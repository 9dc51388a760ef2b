"""GPTQ folders that `scant export` writes and reads, against an unpacker written from the definition, and GPTQModel.

Usage: check_gptq.py SCANT MODEL FIXTURES TEXT
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file as load_tensors

FILE = "model.safetensors"
ATTENTION = ["--only", "self_attn"]  # 688 numbers of 3 bits fill no words


def load_file(path):
    """Tensors in numpy, which has no bfloat16."""
    plain = {name: tensor.float() if tensor.dtype == torch.bfloat16 else tensor
             for name, tensor in load_tensors(path).items()}
    return {name: tensor.numpy() for name, tensor in plain.items()}


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode else ""


def numbers(words, bits, count):
    """The numbers of `bits` bits in each column of words: number i is bits i*bits.. of the column's string."""
    string = np.unpackbits(words.astype("<u4").T.copy().view(np.uint8), axis=1, bitorder="little")
    string = string[:, : count * bits].reshape(words.shape[1], count, bits)
    return (string.astype(np.int64) << np.arange(bits)).sum(-1).T  # count x columns


def unpack(tensors, module, bits, version):
    """Weight = scale (code - zero point), outputs x inputs, in float32."""
    qweight, qzeros = tensors[module + ".qweight"], tensors[module + ".qzeros"]
    scales, g_idx = tensors[module + ".scales"].astype(np.float32), tensors[module + ".g_idx"]
    codes = numbers(qweight, bits, len(g_idx))
    zeros = numbers(qzeros.T, bits, scales.shape[1]).T + (1 if version == "gptq" else 0)
    return ((codes - zeros[g_idx]).astype(np.float32) * scales[g_idx]).T


def dense(scant, folder):
    out = folder + "-dense"
    error = run(scant, "export", folder, "--to", "dense", "--dtype", "f32", "-o", out, "-q", "--force")
    assert not error, error
    return load_file(f"{out}/{FILE}")


def different(values, tensors, bits, version):
    modules = [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]
    assert modules
    return [m for m in modules if not np.array_equal(unpack(tensors, m, bits, version), values[m + ".weight"])]


def different_in_gptqmodel(folder, values, conv1d=False):
    """`conv1d`: values are inputs x outputs, as GPT-2 stores them."""
    from gptqmodel import BACKEND, GPTQModel

    model = GPTQModel.load(folder, device="cpu", backend=BACKEND.TORCH, dtype=torch.float16).model
    layers = {name: m for name, m in model.named_modules() if hasattr(m, "qweight")}
    assert layers
    half = {name: torch.from_numpy(values[name + ".weight"]).half() for name in layers}
    theirs = {name: layer.dequantize_weight().half() for name, layer in layers.items()}
    return [name for name in layers if not torch.equal(theirs[name] if conv1d else theirs[name].T, half[name])]


def check_round_trip(scant, folder, values, bits, version, conv1d=False):
    """What is wrong with a folder that `scant export` wrote: by definition, read back, in GPTQModel."""
    tensors, back = load_file(f"{folder}/{FILE}"), dense(scant, folder)
    by_definition = values if not conv1d else {name: v.T if v.ndim == 2 else v for name, v in values.items()}
    wrong = different(by_definition, tensors, bits, version)
    same = all(np.array_equal(back[key], values[key]) for key in values)
    line = f"{len(wrong)} modules differ by definition, read back {'the same' if same else 'OTHERWISE'}"
    if importlib.util.find_spec("gptqmodel") is None:
        return not wrong and same, line
    theirs = different_in_gptqmodel(folder, values, conv1d)
    return not wrong and same and not theirs, f"{line}, {len(theirs)} in GPTQModel"


def shuffle_groups(folder):
    """The same folder with its inputs in another order of groups (desc_act)."""
    tensors = load_file(f"{folder}/{FILE}")
    order = np.random.default_rng(1)
    for module in [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]:
        tensors[module + ".g_idx"] = order.permutation(tensors[module + ".g_idx"])
    save_file(tensors, f"{folder}/{FILE}", metadata={"format": "pt"})
    config = json.loads(Path(folder, "config.json").read_text())
    config["quantization_config"]["desc_act"] = True
    Path(folder, "config.json").write_text(json.dumps(config))
    return tensors


def check_shuffled(scant, folder, bits, version):
    """desc_act made here: read by definition, and exported again with the same codes and g_idx."""
    tensors, again = shuffle_groups(folder), folder + "-again"
    error = run(scant, "export", folder, "--to", version, "-o", again, "-q")
    if error:
        return False, error
    copied = load_file(f"{again}/{FILE}")
    same = tensors.keys() == copied.keys() and all(np.array_equal(tensors[name], copied[name]) for name in tensors)
    values = dense(scant, folder)
    wrong = different(values, tensors, bits, version)
    good, line = check_round_trip(scant, again, values, bits, version)
    return good and same and not wrong, f"{line}, exported again {'the same' if same else 'OTHERWISE'}"


def main():
    scant, model, fixtures, text = sys.argv[1:5]
    has_gptqmodel = importlib.util.find_spec("gptqmodel") is not None
    failures = passed = 0

    def report(good, line):
        nonlocal failures, passed
        passed, failures = passed + good, failures + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {line}", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        for bits in (2, 3, 4, 8):
            for rest in ("g16", "channel", "g16:asym", "channel:asym"):
                spelling = f"int{bits}:{rest}:scale=fp16"
                some = ATTENTION if bits == 3 else []
                packed = f"{scratch}/packed-{bits}-{rest.replace(':', '-')}"
                run(scant, "compress", model, "-o", packed, "--weights", spelling, "--to", "packed", "-q", *some)
                values = dense(scant, packed)
                for version in ("gptq", "gptq_v2"):
                    name, out = f"{version} {spelling}", f"{packed}-{version}"
                    error = run(scant, "export", packed, "--to", version, "-o", out, "-q")
                    if error:  # what version 1 cannot store
                        report(version == "gptq" and "zero point 0" in error and "gptq_v2" in error,
                               f"{name}: refused: {error[-90:]}")
                        continue
                    tensors = load_file(f"{out}/{FILE}")
                    wrong = different(values, tensors, bits, version)
                    back = dense(scant, out)
                    same = all(np.array_equal(back[key], values[key]) for key in values)
                    line = f"{name}: {len(wrong)} modules differ by definition, read back {'the same' if same else 'OTHERWISE'}"
                    good = not wrong and same
                    # GPTQModel takes asymmetric codes of others in version 2 only.
                    if has_gptqmodel and not (version == "gptq" and "asym" in rest):
                        theirs = different_in_gptqmodel(out, values)
                        good, line = good and not theirs, f"{line}, {len(theirs)} in GPTQModel"
                    report(good, line)
                    if rest == "g16" and bits == 4:
                        good, line = check_shuffled(scant, out, bits, version)
                        report(good, f"{name}, desc_act: {line}")
        calibration = ["--quantizer", "gptq-desc-act", "--calibration", text, "--samples", "8", "--window", "64"]
        for name, source, flags in (("gptq-desc-act", model, calibration), ("gpt2 (Conv1D)", f"{fixtures}/gpt2", [])):
            packed = f"{scratch}/packed-{name.split(' ')[0]}"
            error = run(scant, "compress", source, "-o", packed, "--weights", "int4:g16:scale=fp16", "--to", "packed", "-q",
                        *flags)
            for version in ("gptq", "gptq_v2"):
                error = error or run(scant, "export", packed, "--to", version, "-o", f"{packed}-{version}", "-q")
                good, line = (False, error) if error else check_round_trip(
                    scant, f"{packed}-{version}", dense(scant, packed), 4, version, "gpt2" in name)
                report(good, f"{version} int4:g16:scale=fp16, {name}: {line}")
    print(f"{passed} passed, {failures} failed{'' if has_gptqmodel else ' (without GPTQModel)'}")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
