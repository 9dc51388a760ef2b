"""Folders of AWQ, FP8 and bitsandbytes, read by scant as their definitions or their own libraries say.

AWQ and FP8 are written here from the definition (docs/formats/gptq.md, src/checkpoint/imports/float8.h); bitsandbytes by
transformers with bitsandbytes, whose own dequantization is compared.

Usage: check_imports.py SCANT MODEL
"""

import copy
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

FILE = "model.safetensors"


def write_folder(model, out, config, change):
    """A copy of the model whose linear weights are `change`d into other tensors; the values they stand for."""
    shutil.copytree(model, out)
    tensors, values, written = load_file(f"{model}/{FILE}"), {}, {}
    for name, tensor in tensors.items():
        if "_proj." not in name:
            written[name] = tensor
            continue
        parts, values[name] = change(tensor.float())
        written |= {name.removesuffix(".weight") + suffix: part.contiguous() for suffix, part in parts.items()}
    save_file(written, f"{out}/{FILE}", metadata={"format": "pt"})
    settings = json.loads(Path(out, "config.json").read_text()) | {"quantization_config": config}
    Path(out, "config.json").write_text(json.dumps(settings))
    return values


def awq(weight):
    """Random codes of 4 bits in groups of 16, eight outputs to a word in the order 0 2 4 6 1 3 5 7."""
    outputs, inputs = weight.shape
    groups = inputs // 16
    codes, zeros = torch.randint(0, 16, (outputs, inputs)), torch.randint(0, 16, (outputs, groups))
    scales = (torch.rand(outputs, groups) * 0.01 + 0.001).half()

    def words(numbers):  # outputs last
        eights = numbers.reshape(*numbers.shape[:-1], -1, 8)[..., [0, 2, 4, 6, 1, 3, 5, 7]]
        word = (eights << (torch.arange(8) * 4)).sum(-1)
        return torch.where(word >= 2**31, word - 2**32, word).to(torch.int32)

    value = (codes - zeros.repeat_interleave(16, 1)).float() * scales.float().repeat_interleave(16, 1)
    return {".qweight": words(codes.T), ".qzeros": words(zeros.T), ".scales": scales.T}, value


def fp8_blocks(weight):
    rows, cols = 128, 128
    shape = [-(-weight.shape[0] // rows), -(-weight.shape[1] // cols)]
    spread = lambda s: s.repeat_interleave(rows, 0)[: weight.shape[0]].repeat_interleave(cols, 1)[:, : weight.shape[1]]
    scale = torch.rand(shape) * 0.001 + 0.0005
    codes = (weight / spread(scale)).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {".weight": codes, ".weight_scale_inv": scale}, codes.float() * spread(scale)


def fp8_rows(weight):
    scale = weight.abs().amax(1, keepdim=True) / 448
    codes = (weight / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {".weight": codes, ".weight_scale": scale}, codes.float() * scale


def write_bitsandbytes(model, out, options):
    import bitsandbytes.functional
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32, **options)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, quantization_config=config)
    loaded.save_pretrained(out)

    def dequantized(weight):
        """As one row: with AVX-512, 0.50.2 gives rows that blocks do not fill the scales of other blocks."""
        state = copy.copy(weight.quant_state)
        state.shape = torch.Size([1, state.shape.numel()])
        return bitsandbytes.functional.dequantize_4bit(weight.data, state).float().reshape(weight.quant_state.shape)

    return {name + ".weight": dequantized(m.weight) for name, m in loaded.named_modules()
            if type(m).__name__ == "Linear4bit"}


def main():
    scant, model = sys.argv[1:3]
    torch.manual_seed(1)
    failures = passed = 0
    with tempfile.TemporaryDirectory() as scratch:
        cases = {
            "awq": lambda out: write_folder(model, out, {"quant_method": "awq", "bits": 4, "group_size": 16,
                                                         "version": "gemm", "zero_point": True}, awq),
            "fp8 blocks": lambda out: write_folder(model, out, {"quant_method": "fp8", "activation_scheme": "dynamic",
                                                                "weight_block_size": [128, 128]}, fp8_blocks),
            "fbgemm_fp8": lambda out: write_folder(model, out, {"quant_method": "fbgemm_fp8"}, fp8_rows),
        }
        if importlib.util.find_spec("bitsandbytes") is not None:
            cases |= {
                "bitsandbytes nf4": lambda out: write_bitsandbytes(model, out, {"bnb_4bit_quant_type": "nf4"}),
                "bitsandbytes nf4, nested": lambda out: write_bitsandbytes(
                    model, out, {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}),
                "bitsandbytes fp4": lambda out: write_bitsandbytes(model, out, {"bnb_4bit_quant_type": "fp4"}),
            }
        for name, write in cases.items():
            out = f"{scratch}/{name.replace(' ', '-')}"
            values = write(out)
            subprocess.run([scant, "export", out, "--to", "dense", "--dtype", "f32", "--weights-only", "-q", "-o",
                            out + "-dense"], check=True)
            ours = load_file(f"{out}-dense/{FILE}")
            imported = subprocess.run([scant, "import", out, "-q", "-o", out + "-packed"], capture_output=True, text=True)
            if imported.returncode == 0:  # the same values from its codes
                subprocess.run([scant, "export", out + "-packed", "--to", "dense", "--dtype", "f32", "--weights-only", "-q", "-o",
                                out + "-packed-dense"], check=True)
                again = load_file(f"{out}-packed-dense/{FILE}")
                kept = "its codes kept" if all(torch.equal(again[key], ours[key]) for key in ours) else "its codes DIFFER"
            else:
                kept = "values only" if "holds no codes" in imported.stderr else "NOT IMPORTED"
            # A nested scale is a product and a sum, which bitsandbytes may round once (fused).
            close = torch.allclose if "nested" in name else lambda a, b, **_: torch.equal(a, b)
            wrong = [key for key, value in values.items() if not close(ours[key], value, rtol=1e-6, atol=0)]
            good = not wrong and len(values) > 0 and kept in ("its codes kept", "values only")
            passed, failures = passed + good, failures + (not good)
            print(f"{'ok  ' if good else 'FAIL'} {name}: {len(values)} modules, {len(wrong)} differ, {kept}", flush=True)
    print(f"{passed} passed, {failures} failed")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
