"""compressed-tensors folders that `scant export` writes, read by transformers and compressed-tensors.

For every variant: compressed-tensors' own decompression gives the weights of `scant export --to dense`, bit for bit;
logits differ by at most 1e-3; where inputs are quantized, perplexity is that of `scant eval` within 0.5%; and `scant` reads
the folder back as the same dense model. The readers' own ways:

- four and six bit floats and MX formats come out of compressed-tensors in bfloat16, so these models are loaded in that
  type; NVFP4's scales are stored scale / global there and stored scale x tensor scale here, one rounding apart, so
  its weights may differ by one unit of bfloat16 and its logits by that type's rounding;
- packed zero points cannot be loaded by transformers 5.23 with compressed-tensors 0.20 as they are, not even those that
  compressed-tensors itself saved (its parameters keep the unpacked shape): these folders are loaded with dequantize=True,
  which computes in the type of the scales, bfloat16.

- block scales of NVFP4 and MX inputs are rounded there otherwise than in `scant eval`: perplexity is compared within 1.5%, and
  within 0.5% once more with scant's rounding put into compressed-tensors.

Usage: check_compressed_tensors.py SCANT MODEL FIXTURES TEXT
"""

import contextlib
import io
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import compressed_tensors
import torch
import transformers
from compressed_tensors.compressors import BaseCompressor, decompress_module
from compressed_tensors.quantization import QuantizationScheme
from compressed_tensors.quantization.utils import helpers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

NOT_DOWN = ["--skip", "down_proj"]  # 688 inputs are no multiple of 32
RECIPE = """
version: 1
steps:
  - step: sparsify
    pattern: "50%"
    overrides:
      - {match: mlp, none: true}
  - step: quantize
    format: "int4:g16"
    overrides:
      - {match: self_attn, format: "int3:g64"}
      - {match: down_proj, format: "fp8_e4m3"}
      - {match: "layers\\\\.0\\\\.", none: true}
"""
VARIANTS = {f"int{bits}:{rest}": ["--weights", f"int{bits}:{rest}"]
            for bits in range(2, 9) for rest in ("g16", "channel", "g16:asym", "channel:asym")}
VARIANTS |= {
    "int4:tensor": ["--weights", "int4:tensor"],
    "int4:tensor:asym": ["--weights", "int4:tensor:asym"],
    "int4:g16:narrow:scale=fp16": ["--weights", "int4:g16:narrow:scale=fp16"],
    "2:4, int4:g16": ["--sparsity", "2:4", "--weights", "int4:g16"],
    "50%, int4:g16:asym": ["--sparsity", "50%", "--weights", "int4:g16:asym"],
    "blocks of 1x16, int8": ["--sparsity", "50%:block=1x16", "--weights", "int8"],
    "fp8_e4m3:tensor": ["--weights", "fp8_e4m3:tensor"],
    "fp8_e4m3:channel": ["--weights", "fp8_e4m3:channel"],
    "fp8_e4m3:g16": ["--weights", "fp8_e4m3:g16"],
    "nvfp4": ["--weights", "nvfp4"],
    "2:4, nvfp4": ["--sparsity", "2:4", "--weights", "nvfp4"],
    "mxfp4": ["--weights", "mxfp4", *NOT_DOWN],
    "mxfp6_e2m3": ["--weights", "mxfp6_e2m3", *NOT_DOWN],
    "mxfp8_e4m3": ["--weights", "mxfp8_e4m3", *NOT_DOWN],
    "mixed precision": ["--recipe", "RECIPE"],
}
STATIC = ["--calibration", "TEXT", "--samples", "8", "--window", "64", "--activation-method", "static"]
WITH_INPUTS = {
    "W8A8, int8 tokens": ["--weights", "int8", "--activations", "int8"],
    "W8A8, int8 tokens, asym": ["--weights", "int8", "--activations", "int8:asym"],
    "W8A8, 2:4": ["--sparsity", "2:4", "--weights", "int8", "--activations", "int8"],
    "W4A8": ["--weights", "int4:g16", "--activations", "int8"],
    "W8A8, static": ["--weights", "int8", "--activations", "int8:tensor", *STATIC],
    "W8A8, static, asym": ["--weights", "int8", "--activations", "int8:tensor:asym", *STATIC],
    "FP8, tokens": ["--weights", "fp8_e4m3", "--activations", "fp8_e4m3"],
    "FP8, static": ["--weights", "fp8_e4m3:tensor", "--activations", "fp8_e4m3:tensor", *STATIC],
    "W4A8 fp8": ["--weights", "int4:g16", "--activations", "fp8_e4m3"],
    "nvfp4, nvfp4 inputs": ["--weights", "nvfp4", "--activations", "nvfp4", *STATIC],
    "mxfp4, mxfp4 inputs": ["--weights", "mxfp4", "--activations", "mxfp4", *NOT_DOWN],
    "mxfp4, mxfp8 inputs": ["--weights", "mxfp4", "--activations", "mxfp8_e4m3", *NOT_DOWN],
    "mxfp8, mxfp8 inputs": ["--weights", "mxfp8_e4m3", "--activations", "mxfp8_e4m3", *NOT_DOWN],
    "mxfp6, mxfp6 inputs": ["--weights", "mxfp6_e2m3", "--activations", "mxfp6_e2m3", *NOT_DOWN],
}
ARCHITECTURES = ["llama", "mistral", "qwen2", "qwen3", "opt", "opt_pre_norm_projected"]
ARCHITECTURE_VARIANTS = {
    "int4": ["--weights", "int4"],
    "W8A8": ["--weights", "int8", "--activations", "int8"],
    "int8 and head": ["--weights", "int8", "--head", "int8"],
}
WINDOW = 64
FILE = "model.safetensors"


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def load(folder, dtype=torch.float32, **options):
    with contextlib.redirect_stderr(io.StringIO()):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **options).eval()


def logits(model, ids):
    with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        return model(ids).logits.double()


def different_weights(model, dense):
    """Names of modules whose decompressed weight is not that of the dense model."""
    different, seen = [], 0
    values = dict(dense.named_parameters())
    for name, module in model.named_modules():
        if getattr(module, "quantization_scheme", None) is None:
            continue
        seen += 1
        if getattr(module, "weight_packed", None) is not None or module.weight.dtype.itemsize == 1:
            with contextlib.redirect_stderr(io.StringIO()):
                decompress_module(module)
        ours = values[name + ".weight"]
        if str(module.quantization_scheme.format.value) == "nvfp4-pack-quantized":
            same = torch.allclose(module.weight.float(), ours.float(), rtol=2.0**-7, atol=0)
        else:
            same = torch.equal(module.weight.float(), ours.float())
        if not same:
            different.append(name)
    return different, seen


def check_packed_zero_points(folder, dense):
    """Decompression of the stored tensors, then the model that transformers makes: modules that differ, modules, logits."""
    group = json.loads((Path(folder) / "config.json").read_text())["quantization_config"]["config_groups"]["group_0"]
    scheme = QuantizationScheme(**group)
    tensors = load_file(f"{folder}/model.safetensors")
    values = dict(dense.named_parameters())
    different, modules = [], [name.removesuffix(".weight_packed") for name in tensors if "weight_packed" in name]
    for module in modules:
        parts = {name.rsplit(".", 1)[1]: tensor for name, tensor in tensors.items() if name.startswith(module + ".")}
        parts["weight_scale"] = parts["weight_scale"].float()
        weight = BaseCompressor.get_value_from_registry("pack-quantized").decompress(parts, scheme)["weight"]
        if not torch.equal(weight, values[module + ".weight"]):
            different.append(module)
        stored = tensors[module + ".weight_scale"].dtype
        values[module + ".weight"].data = values[module + ".weight"].data.to(stored).float()
    theirs = load(folder, quantization_config=CompressedTensorsConfig(dequantize=True))
    ids = example_ids(dense)
    return different, len(modules), (logits(theirs, ids) - logits(dense, ids)).abs().max().item()


def example_ids(model):
    return (torch.arange(16)[None] * 7 + 5) % model.config.vocab_size


def perplexity(model, ids):
    total = count = 0
    for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = torch.tensor([ids[begin : begin + WINDOW]])
        log_p = torch.log_softmax(logits(model, window)[0, :-1], dim=-1)
        total -= log_p.gather(1, window[0, 1:, None]).sum().item()
        count += WINDOW - 1
    return math.exp(total / count)


@contextlib.contextmanager
def scales_rounded_as_in_scant():
    """Block scales of inputs: E4M3 upwards instead of to nearest, powers of two downwards instead of from 1.75 upwards."""
    nearest, powers = helpers.round_to_quantized_type_dtype, helpers.generate_mx_scales

    def upwards(scales, dtype, **more):
        if dtype != torch.float8_e4m3fn:
            return nearest(scales, dtype=dtype, **more)
        stored = scales.float().clamp(2.0**-9, 448).to(dtype)
        step = (stored.float() < scales.float().clamp(max=448)).to(torch.uint8)
        return (stored.view(torch.uint8) + step).view(dtype).to(scales.dtype)

    def downwards(x, num_bits):
        return 127 + torch.floor(torch.log2(x.float())) - {4: 2, 6: 2, 8: 8}[num_bits]

    helpers.round_to_quantized_type_dtype, helpers.generate_mx_scales = upwards, downwards
    try:
        yield
    finally:
        helpers.round_to_quantized_type_dtype, helpers.generate_mx_scales = nearest, powers


class Checker:
    def __init__(self, scant, scratch, text):
        self.scant, self.scratch, self.text = scant, Path(scratch), text
        self.failures = self.passed = 0
        (self.scratch / "recipe.yaml").write_text(RECIPE)

    def report(self, good, line):
        self.passed += good
        self.failures += not good
        print(f"{'ok  ' if good else 'FAIL'} {line}", flush=True)

    def folders(self, model, flags):
        """The packed, the exported and the dense folder of a variant."""
        place = Path(tempfile.mkdtemp(dir=self.scratch))
        words = {"RECIPE": str(self.scratch / "recipe.yaml"), "TEXT": self.text}
        run(self.scant, "compress", model, "-o", str(place / "packed"), "--to", "packed", "-q",
            *[words.get(flag, flag) for flag in flags])
        run(self.scant, "export", str(place / "packed"), "--to", "compressed-tensors", "-o", str(place / "out"), "-q")
        run(self.scant, "export", str(place / "packed"), "--to", "dense", "--dtype", "f32", "--weights-only", "-q",
            "-o", str(place / "dense"))
        return [str(place / name) for name in ("packed", "out", "dense")]

    def check(self, name, model, flags):
        _, out, dense_folder = self.folders(model, flags)
        back = out + "-back"
        run(self.scant, "export", out, "--to", "dense", "--dtype", "f32", "--weights-only", "-o", back, "-q")
        if "nvfp4" not in name and Path(back, FILE).read_bytes() != Path(dense_folder, FILE).read_bytes():
            self.report(False, f"{name}: what scant reads back differs")
        dtype = torch.bfloat16 if "nvfp4" in name or "mxfp" in name else torch.float32
        dense = load(dense_folder, dtype)
        quantized_inputs = "--activations" in flags
        if "asym" in name and not quantized_inputs and ":tensor" not in name:
            different, seen, gap = check_packed_zero_points(out, dense)
            good = not different and seen > 0 and gap <= 1e-3
            self.report(good, f"{name}: {seen} modules, {len(different)} differ, logits differ by {gap:.1e}")
            return
        theirs, ids = load(out, dtype), example_ids(dense)
        gap = (logits(theirs, ids) - logits(dense, ids)).abs().max().item()
        different, seen = different_weights(theirs, dense)
        allowed = math.inf if quantized_inputs else 0.1 if "nvfp4" in name else 1e-3
        good = not different and seen > 0 and gap <= allowed
        shown = "" if quantized_inputs else f", logits differ by {gap:.1e}"
        self.report(good, f"{name}: {seen} modules, {len(different)} differ{shown}")

    def check_inputs(self, name, model, flags, ids):
        packed, out, dense_folder = self.folders(model, flags)
        ours = json.loads(run(self.scant, "eval", packed, "--text", self.text, "--json", "--window", str(WINDOW),
                              "--max-tokens", str(len(ids))))["perplexity"]
        in_blocks = " inputs" in name
        reader = load(out, torch.bfloat16 if in_blocks else torch.float32)
        if in_blocks:  # whose weights come out in bfloat16 (check() compares them): computed in float32 with the exact ones
            logits(reader, example_ids(reader))
            reader = torch.nn.Module.float(reader)  # which transformers would refuse
            exact = load_file(f"{dense_folder}/{FILE}")
            for key, parameter in reader.named_parameters():
                if key in exact:
                    parameter.data = exact[key]
        theirs = perplexity(reader, ids)
        line = f"{name}: perplexity {ours:.4f} in scant, {theirs:.4f} in transformers"
        # Sums in another order move an input across the middle of two codes now and then.
        good = abs(ours / theirs - 1) < (1.5e-2 if in_blocks else 5e-3)
        if in_blocks:
            with scales_rounded_as_in_scant():
                alike = perplexity(reader, ids)
            good = good and abs(ours / alike - 1) < 5e-3
            line += f", {alike:.4f} there with scant's rounding of block scales"
        self.report(good, line)


def main():
    scant, model, fixtures, text = sys.argv[1:5]
    print(f"transformers {transformers.__version__}, compressed-tensors {compressed_tensors.__version__}, "
          f"torch {torch.__version__}")
    transformers.logging.set_verbosity_error()
    ids = json.loads(run(scant, "tokenize", model, "--text", text))[:2048]
    with tempfile.TemporaryDirectory() as scratch:
        checker = Checker(scant, scratch, text)
        for name, flags in (VARIANTS | WITH_INPUTS).items():
            checker.check(name, model, flags)
        for name, flags in WITH_INPUTS.items():
            checker.check_inputs(name, model, flags, ids)
        for architecture in ARCHITECTURES:
            for name, flags in ARCHITECTURE_VARIANTS.items():
                tied = json.loads((Path(fixtures) / architecture / "config.json").read_text())["tie_word_embeddings"]
                if "--head" in flags and tied:
                    continue  # refused: a table of which readers take linear layers only
                checker.check(f"{architecture}, {name}", f"{fixtures}/{architecture}", flags)
    print(f"{checker.passed} passed, {checker.failures} failed")
    sys.exit(checker.failures != 0)


if __name__ == "__main__":
    main()
