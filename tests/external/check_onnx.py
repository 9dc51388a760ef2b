"""ONNX folders that `scant export --to onnx` writes, read by onnx's checker and run by onnxruntime.

For every variant: the checker accepts the model; the codes, decoded in numpy from ONNX's definitions, are the weights of
`scant export --to dense`, bit for bit; logits differ from those of transformers on the dense folder by at most 1e-3, for a
prompt, for tokens one by one with the cache, and for a batch with padding on its left. Where inputs are quantized,
perplexity is that of `scant eval` within 0.5% instead.

Usage: check_onnx.py SCANT MODEL FIXTURES TEXT [OTHER MODELS...]
"""

import contextlib
import io
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from onnx import numpy_helper
from transformers import AutoModelForCausalLM

onnxruntime.set_default_logger_severity(4)

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
            for bits in range(2, 9) for rest in ("g32", "channel", "g32:asym", "channel:asym")}
VARIANTS |= {
    "as it is": None,
    "as it is, float16": ["--dtype", "f16"],
    "int4:tensor": ["--weights", "int4:tensor"],
    "int4:tensor:asym": ["--weights", "int4:tensor:asym"],
    "int8:tensor:asym": ["--weights", "int8:tensor:asym"],
    "int4:g48": ["--weights", "int4:g48"],
    "int4:g20": ["--weights", "int4:g20"],
    "int3:g20:asym": ["--weights", "int3:g20:asym"],
    "int4:g512": ["--weights", "int4:g512"],
    "int8:g24:asym": ["--weights", "int8:g24:asym"],
    "int4:g16:narrow:scale=fp16": ["--weights", "int4:g16:narrow:scale=fp16"],
    "int4:g32:scale=fp32": ["--weights", "int4:g32:scale=fp32"],
    "hbfp4": ["--weights", "hbfp4"],
    "hbfp8": ["--weights", "hbfp8"],
    "ternary": ["--weights", "ternary"],
    "binary": ["--weights", "binary"],
    "fp8_e4m3:tensor": ["--weights", "fp8_e4m3:tensor"],
    "fp8_e4m3": ["--weights", "fp8_e4m3"],
    "fp8_e5m2:g32": ["--weights", "fp8_e5m2:g32"],
    "2:4, int4:g32": ["--sparsity", "2:4", "--weights", "int4:g32"],
    "50%, int4:g32:asym": ["--sparsity", "50%", "--weights", "int4:g32:asym"],
    "blocks of 1x16, int8": ["--sparsity", "50%:block=1x16", "--weights", "int8"],
    "only pruned": ["--sparsity", "2:4"],
    "mixed precision": ["--recipe", "RECIPE"],
    "awq": ["--weights", "int4:g32", "--quantizer", "awq", "--calibration", "TEXT", "--samples", "4", "--window", "64"],
    "act-order": ["--weights", "int4:g32", "--quantizer", "gptq-desc-act", "--calibration", "TEXT", "--samples", "4",
                  "--window", "64"],
    "act-order, int8": ["--weights", "int8:g16", "--quantizer", "gptq-desc-act", "--calibration", "TEXT", "--samples", "4",
                        "--window", "64"],
    "int4 and tied head": ["--weights", "int4:g32", "--head", "int4:g32"],
    "int4:asym and tied head": ["--weights", "int4:g32", "--head", "int4:g32:asym"],
    "int4 and tied head by row": ["--weights", "int4:g32", "--head", "int4"],
    "int4 and tied head by 20": ["--weights", "int4:g32", "--head", "int4:g20"],
    "int4 and tied head of int8": ["--weights", "int4:g32", "--head", "int8"],
}
STATIC = ["--calibration", "TEXT", "--samples", "8", "--window", "64", "--activation-method", "static"]
WITH_INPUTS = {
    "W8A8, int8 tokens": ["--weights", "int8", "--activations", "int8"],
    "W8A8, int8 tokens, asym": ["--weights", "int8", "--activations", "int8:asym"],
    "W8A6, narrow": ["--weights", "int8", "--activations", "int6:narrow"],
    "W8A5, asym": ["--weights", "int8", "--activations", "int5:asym"],
    "W8A8 by groups": ["--weights", "int8", "--activations", "int8:g16:scale=fp32"],
    "W8A8, 2:4": ["--sparsity", "2:4", "--weights", "int8", "--activations", "int8"],
    "W4A8": ["--weights", "int4:g32", "--activations", "int8"],
    "W8A8, static": ["--weights", "int8", "--activations", "int8:tensor", *STATIC],
    "W8A8, static, asym": ["--weights", "int8", "--activations", "int8:tensor:asym", *STATIC],
    "W8A6, static, asym": ["--weights", "int8", "--activations", "int6:tensor:asym", *STATIC],
    "FP8, tokens": ["--weights", "fp8_e4m3", "--activations", "fp8_e4m3"],
    "FP8, static": ["--weights", "fp8_e4m3:tensor", "--activations", "fp8_e4m3:tensor", *STATIC],
    "W4A8 fp8": ["--weights", "int4:g32", "--activations", "fp8_e5m2"],
}
ARCHITECTURE_VARIANTS = {
    "as it is": None,
    "int4": ["--weights", "int4"],
    "int8": ["--weights", "int8"],
    "int4 and head": ["--weights", "int4", "--head", "int8"],
}
WINDOW = 64
FILE = "model.safetensors"


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def load(folder):
    with contextlib.redirect_stderr(io.StringIO()):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


class Runtime:
    """A folder in onnxruntime, with the cache that its inputs and outputs say."""

    def __init__(self, folder):
        self.session = onnxruntime.InferenceSession(f"{folder}/model.onnx", providers=["CPUExecutionProvider"])
        self.caches = {i.name: i.shape for i in self.session.get_inputs() if i.name.startswith("past_key_values.")}
        self.outputs = [o.name for o in self.session.get_outputs()]

    def __call__(self, ids, mask=None, positions=None, past=None):
        batch, count = ids.shape
        if past is None:
            past = {n: np.zeros((batch, s[1], 0, s[3]), np.float32) for n, s in self.caches.items()}
        before = next(iter(past.values())).shape[2]
        mask = np.ones((batch, before + count), np.int64) if mask is None else mask
        if positions is None:
            positions = np.maximum(mask.cumsum(1) - 1, 0)[:, before:]
        feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **past}
        out = dict(zip(self.outputs, self.session.run(None, feeds)))
        past = {n: out[n.replace("past_key_values", "present")] for n in self.caches}
        return out["logits"].astype(np.float64), past


def torch_logits(model, ids, mask=None, positions=None):
    inputs = {"input_ids": torch.tensor(ids)}
    if mask is not None:
        inputs |= {"attention_mask": torch.tensor(mask)}
        if model.config.model_type != "opt":  # which makes them from the mask
            inputs |= {"position_ids": torch.tensor(positions)}
    with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
        return model(**inputs).logits.double().numpy()


def largest_gaps(runtime, model):
    """Of the logits of a prompt, of tokens one by one, of a padded batch."""
    count = min(24, model.config.max_position_embeddings)
    ids = (np.arange(count)[None] * 7 + 5) % model.config.vocab_size
    wanted = torch_logits(model, ids)
    prompt = np.abs(runtime(ids)[0] - wanted).max()
    got, past = runtime(ids[:, :10])
    steps = [got]
    for t in range(10, count):
        got, past = runtime(ids[:, t : t + 1], past=past)
        steps.append(got)
    stepwise = np.abs(np.concatenate(steps, 1) - wanted).max()
    batch = np.stack([ids[0, :9], np.concatenate([np.zeros(4, np.int64), ids[0, 3:8]])])
    mask = np.ones_like(batch)
    mask[1, :4] = 0
    positions = np.maximum(mask.cumsum(1) - 1, 0)
    padded = np.abs(runtime(batch, mask, positions)[0] - torch_logits(model, batch, mask, positions))
    return prompt, stepwise, (padded * mask[:, :, None]).max()


def nibbles(data):
    return np.stack([data & 15, data >> 4], -1).reshape(*data.shape[:-1], -1)


def decoded(node, parts):
    """The float32 weight, rows x columns, of a node by ONNX's definition; parts by input name."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "MatMulNBits":
        rows, columns, block = attributes["N"], attributes["K"], attributes["block_size"]
        codes = nibbles(parts[node.input[1]]).reshape(rows, -1, block).astype(np.float32)
        blocks = codes.shape[1]
        scales = parts[node.input[2]].astype(np.float32).reshape(rows, blocks, 1)
        zeros = np.full((rows, blocks, 1), 8, np.float32)
        if len(node.input) > 3:
            zeros = nibbles(parts[node.input[3]].reshape(rows, -1))[:, :blocks, None].astype(np.float32)
        return ((codes - zeros) * scales).reshape(rows, -1)[:, :columns]
    codes = parts[node.input[0]].astype(np.float32)
    scales = parts[node.input[1]].astype(np.float32)
    zeros = parts[node.input[2]].astype(np.float32) if len(node.input) > 2 else np.zeros_like(scales)
    if block := attributes.get("block_size", 0):
        scales, zeros = (np.repeat(v, block, 1)[:, : codes.shape[1]] for v in (scales, zeros))
    elif scales.ndim == 1:
        scales, zeros = scales[:, None], zeros[:, None]
    return (codes - zeros) * scales


def different_weights(folder, dense):
    """Names of weights whose codes do not decode to those of the dense model, and how many have codes."""
    model = onnx.load(f"{folder}/model.onnx")
    parts = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in parts:
            parts[node.output[0]] = parts[node.input[0]].astype(np.float32)
    factors = {n.output[0]: n.input[1] for n in model.graph.node if n.op_type == "Mul" and "factors" in n.input[1]}
    values = {n: v.float().numpy() for n, v in dense.state_dict().items()}
    different, seen = [], 0
    for node in model.graph.node:
        names = [i for i in node.input if i.removesuffix(".of_head").endswith(".weight.codes")]
        if not names or node.op_type not in ("MatMulNBits", "DequantizeLinear"):
            continue
        seen += 1
        name = names[0].removesuffix(".of_head").removesuffix(".codes")
        order = parts.get(name + ".column_order")
        name = name if name in values else next(n for n in values if n.endswith(name))
        wanted = values[name]
        weight = decoded(node, parts)
        if "MatMulNBits" == node.op_type and node.input[0] in factors:
            weight = weight * parts[factors[node.input[0]]]
        if dense.config.model_type == "gpt2" and ".h." in name:
            wanted = wanted.T  # Conv1D keeps inputs x outputs
        if order is not None:
            wanted = wanted[:, order]
        if not np.array_equal(weight, wanted):
            different.append(name)
    return different, seen


def perplexity(runtime, ids):
    total = count = 0
    for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = np.array([ids[begin : begin + WINDOW]], np.int64)
        values = torch.tensor(runtime(window)[0][0, :-1])
        log_p = torch.log_softmax(values, dim=-1)
        total -= log_p.gather(1, torch.tensor(window[0, 1:, None])).sum().item()
        count += WINDOW - 1
    return math.exp(total / count)


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
        """The packed (or the model itself), the exported and the dense folder of a variant."""
        place = Path(tempfile.mkdtemp(dir=self.scratch))
        words = {"RECIPE": str(self.scratch / "recipe.yaml"), "TEXT": self.text}
        source, how, dtype = model, [], "f32"
        if flags and flags[0] == "--dtype":
            how, dtype = flags, flags[1]
        elif flags is not None:
            source = str(place / "packed")
            run(self.scant, "compress", model, "-o", source, "--to", "packed", "-q",
                *[words.get(flag, flag) for flag in flags])
        run(self.scant, "export", source, "--to", "onnx", "-o", str(place / "out"), "-q", *how)
        run(self.scant, "export", source, "--to", "dense", "--dtype", dtype, "--weights-only", "-q",
            "-o", str(place / "dense"))
        return source, str(place / "out"), str(place / "dense")

    def check(self, name, model, flags):
        source, out, dense_folder = self.folders(model, flags)
        onnx.checker.check_model(f"{out}/model.onnx")
        dense, runtime = load(dense_folder), Runtime(out)
        different, seen = different_weights(out, dense)
        counted = f"{seen} weights, {len(different)} differ"
        if flags is not None and "--activations" in flags:
            ids = json.loads(run(self.scant, "tokenize", model, "--text", self.text))[:2048]
            wanted = json.loads(run(self.scant, "eval", source, "--text", self.text, "--json", "--window", str(WINDOW),
                                    "--max-tokens", str(len(ids))))["perplexity"]
            got = perplexity(runtime, ids)
            good = not different and seen > 0 and abs(got / wanted - 1) < 0.005
            self.report(good, f"{name}: {counted}, perplexity {got:.4f} for {wanted:.4f}")
            return
        gaps = largest_gaps(runtime, dense)
        coded = flags is not None and "--weights" in flags
        good = not different and (seen > 0) >= coded and max(gaps) <= 1e-3
        self.report(good, f"{name}: {counted}, logits differ by {gaps[0]:.1e}, {gaps[1]:.1e} with the cache, "
                          f"{gaps[2]:.1e} padded")

    def attempt(self, name, model, flags):
        try:
            self.check(name, model, flags)
        except Exception as error:  # noqa: BLE001 - the other variants go on
            self.report(False, f"{name}: {type(error).__name__}: {str(error)[:300]}")


def main():
    scant, model, fixtures, text, *others = sys.argv[1:]
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}, transformers {transformers.__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        checker = Checker(scant, scratch, text)
        for name, flags in (VARIANTS | WITH_INPUTS).items():
            checker.attempt(name, model, flags)
        for fixture in sorted(Path(fixtures).iterdir()):
            for name, flags in ARCHITECTURE_VARIANTS.items():
                checker.attempt(f"{fixture.name}, {name}", str(fixture), flags)
        for other in others:
            for name in ("as it is", "int4:g32", "2:4, int4:g32", "int8:channel", "fp8_e4m3"):
                checker.attempt(f"{Path(other).name}, {name}", other, VARIANTS[name])
    print(f"{checker.passed} passed, {checker.failures} failed")
    return checker.failures > 0


if __name__ == "__main__":
    sys.exit(main())
