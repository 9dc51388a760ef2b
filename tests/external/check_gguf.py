"""GGUF files that `scant export --to gguf` writes, read by gguf and llama-cpp-python.

For every type: `gguf` reads all tensors as the values of `scant export --to dense`, bit for bit. Then llama.cpp itself:
the same ids for texts, the same greedy tokens as `scant run`, the perplexity of `scant eval` within 0.5%, and for tiny random
models of every architecture the logits of transformers on the dense model. llama.cpp rounds the inputs of layers to the type
of their weights, with block types to 8 bits per 32 (or 256) of them, where `scant eval` and `scant
run --inputs fp32` take them as they are; with F32 logits agree to 1e-3 (gpt2 to 5e-3: llama.cpp takes GELU from a table in
float16). Where greedy texts part, rounding must be the reason: llama.cpp's logit of scant's token is below its best by at most
twice what llama.cpp's own logits move when the same values stand in a file of F32.

Usage: check_gguf.py SCANT MODEL TEXT [LARGER MODEL OR GGUF]...
"""

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"
import gguf  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from tokenizer_texts import fixed_texts, random_texts  # noqa: E402

WINDOW, TOKENS, GREEDY = 512, 3072, 24
PROMPTS = ["The old sailor", "It was a dark night, and", "I have seen this film", "In the year 1812 the"]
HALF = "scale=fp16"
FORMATS = {
    "F32": None, "F16": None, "BF16": None,
    "Q4_0": f"int4:g32:{HALF}", "Q5_0": f"int5:g32:{HALF}", "Q8_0": f"int8:g32:{HALF}", "MXFP4": "mxfp4",
    "Q4_0 of int2": f"int2:g32:{HALF}", "Q4_0 of int3": f"int3:g64:{HALF}", "Q4_0 of ternary": f"ternary:g32:{HALF}",
    "Q4_0 of int3:asym": f"int3:g32:asym:{HALF}", "Q5_0 of int4:asym": f"int4:g128:asym:{HALF}",
    "Q4_0 of int4:channel": f"int4:channel:{HALF}", "Q8_0 of int6": f"int6:g32:{HALF}",
    "Q8_0 of int7:asym": f"int7:g32:asym:{HALF}", "Q4_0 of binary": f"binary:g32:{HALF}",
    "Q5_0 of fp4_e2m1": f"fp4_e2m1:g32:{HALF}", "Q8_0 of mxint8": "mxint8", "Q4_0 of hbfp4": "hbfp4",
    "TQ2_0": f"ternary:channel:{HALF}",
    "Q4_1": "q4_1", "Q5_1": "q5_1", "Q2_K": "q2_k", "Q3_K": "q3_k", "Q4_K": "q4_k", "Q5_K": "q5_k", "Q6_K": "q6_k",
}
TO_LLAMA_CPP = ["F32", "F16", "BF16", "Q4_0", "Q5_0", "Q8_0", "MXFP4", "TQ2_0",
                "Q4_1", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]

passed = failed = 0


def report(good, line):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"{'ok  ' if good else 'FAIL'} {line}", flush=True)


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def export(scant, model, kind, scratch, extra=()):
    """The GGUF file and the dense folder with its values."""
    out, dense = f"{scratch}/{kind.replace(' ', '-').replace(':', '-')}.gguf", f"{scratch}/dense"
    spelling = FORMATS[kind]
    if spelling is None:
        run(scant, "export", model, "--to", "gguf", "--dtype", kind.lower(), "-o", out, "--force", "-q")
        run(scant, "export", model, "--to", "dense", "--dtype", kind.lower(), "-o", dense, "--force", "-q")
        return out, dense
    packed = f"{scratch}/packed"
    run(scant, "compress", model, "-o", packed, "--weights", spelling, "--to", "packed", "--force", "-q", *extra)
    run(scant, "export", packed, "--to", "gguf", "-o", out, "--force", "-q")
    run(scant, "export", packed, "--to", "dense", "--dtype", "f32", "-o", dense, "--force", "-q")
    return out, dense


def interleaved(values, heads):
    """Rows of the two halves of every head in turn, as llama.cpp's converter writes queries and keys."""
    shape = values.shape
    return values.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


NAMES = {"embed_tokens": "token_embd", "norm": "output_norm", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    name = name.removeprefix("model.")
    if name == "lm_head.weight":
        return "output.weight"
    stem, suffix = name.rsplit(".", 1)
    if stem.startswith("layers."):
        _, layer, part = stem.split(".", 2)
        return f"blk.{layer}.{NAMES[part]}.{suffix}"
    return f"{NAMES[stem]}.{suffix}"


def different_tensors(path, dense):
    """Tensors of a Llama that gguf reads otherwise, their number, and the types there are."""
    config = json.loads(Path(dense, "config.json").read_text())
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    read = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    expected = load_file(f"{dense}/model.safetensors")
    wrong = set(map(gguf_name, expected)) ^ set(read)
    for name, values in expected.items():
        tensor = read.get(gguf_name(name))
        if tensor is None:
            continue
        values = values.float().numpy()
        projection = name.split(".")[-2]
        if projection in heads:
            values = interleaved(values, heads[projection])
        theirs = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(values.shape)
        if not np.array_equal(theirs, values):
            wrong.add(name)
    return sorted(wrong), len(read), sorted({tensor.tensor_type.name for tensor in read.values()})


def llama(path, context=WINDOW, **options):
    import llama_cpp

    return llama_cpp.Llama(str(path), n_ctx=context, n_batch=context, n_ubatch=context, logits_all=True, verbose=False,
                           n_gpu_layers=0, type_k=0, type_v=0, flash_attn=False, **options)


def llama_logits(model, ids):
    model.reset()
    model.eval(ids)
    return model.scores[: len(ids)].astype(np.float64)


def log_softmax(logits):
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def llama_perplexity(model, ids):
    """Fixed windows, no special tokens, mean NLL over positions 1..w-1."""
    total = count = 0
    for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = ids[begin : begin + WINDOW]
        log_p = log_softmax(llama_logits(model, window)[:-1])
        total -= log_p[np.arange(WINDOW - 1), window[1:]].sum()
        count += WINDOW - 1
    return math.exp(total / count)


def greedy_gap(model, prompt, ours):
    """The first of scant's tokens that is not llama.cpp's likeliest: its position and the logits there; None if all are."""
    scores = llama_logits(model, prompt + ours)
    for step, token in enumerate(ours):
        row = scores[len(prompt) + step - 1]
        if int(row.argmax()) != token:
            return step, float(row.max() - row[token]), row.copy()
    return None


def check_greedy(scant, source, model, name, scratch):
    """What `scant run` says is what llama.cpp says, up to its rounding."""
    parted, twin = [], None
    for prompt in PROMPTS:
        start = json.loads(run(scant, "tokenize", source, prompt))
        ours = json.loads(run(scant, "run", source, "-p", prompt, "--temperature", 0, "-n", GREEDY, "--inputs", "fp32", "--json"))["tokens"]
        gap = greedy_gap(model, start, ours)
        if gap is None:
            continue
        if twin is None:
            run(scant, "export", source, "--to", "dense", "--dtype", "f32", "-o", f"{scratch}/twin", "--force", "-q")
            run(scant, "export", f"{scratch}/twin", "--to", "gguf", "-o", f"{scratch}/twin.gguf", "--force", "-q")
            twin = llama(f"{scratch}/twin.gguf")
        step, below, row = gap
        moved = np.abs(llama_logits(twin, start + ours)[len(start) + step - 1] - row).max()
        same = greedy_gap(twin, start, ours)
        parted.append((step, below, moved, same is None or same[1] < 0.01))
    words = "".join(f", parts at {step}: {below:.3f} below, rounding moves {moved:.3f}" for step, below, moved, _ in parted)
    exact = f", {sum(p[3] for p in parted)} of these {len(parted)} the same in F32" if parted else ""
    report(all(below <= 2 * moved and same for _, below, moved, same in parted),
           f"{name}: {len(PROMPTS) - len(parted)} of {len(PROMPTS)} greedy texts of {GREEDY} tokens the same{words}{exact}")


def check_tokenizer(scant, source, model, name, scratch):
    lines = [data.decode("utf-8", "replace") for data in fixed_texts() + random_texts(7, 200)]
    texts = ["\n".join(lines[i : i + 12]) for i in range(0, len(lines), 12)]
    different = []
    for number, text in enumerate(texts):
        path = Path(scratch, "text.txt")
        path.write_bytes(text.encode())
        ours = json.loads(run(scant, "tokenize", source, "--text", path))
        if ours != model.tokenize(text.encode(), add_bos=False, special=False):
            different.append(number)
    report(not different, f"{name}: ids of {len(texts)} texts, {len(different)} differ in llama.cpp")


def check_running(scant, source, path, name, ids, text, scratch):
    """Greedy tokens and perplexity on `ids`, the first of `text`. `source`: what scant measures; `path`: the file."""
    model = llama(path)
    check_greedy(scant, source, model, name, scratch)
    ours = json.loads(run(scant, "eval", source, "--text", text, "--json", "--max-tokens", len(ids), "--window", WINDOW))["perplexity"]
    theirs = llama_perplexity(model, ids)
    report(abs(theirs / ours - 1) < 0.005, f"{name}: perplexity scant {ours:.4f}, llama.cpp {theirs:.4f} ({theirs / ours - 1:+.3%})")
    return model


def tiny_models():
    """Random models of every architecture, of sizes that blocks of 32 fill."""
    import transformers as t

    common = dict(vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.1)
    llama3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 16}
    linear = {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.5}
    yield "llama", t.LlamaConfig(**common, tie_word_embeddings=False)
    yield "llama, biases, tied", t.LlamaConfig(**common, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
    yield "llama, llama3 rope", t.LlamaConfig(**common, rope_parameters=llama3)
    yield "llama, linear rope", t.LlamaConfig(**common, rope_parameters=linear)
    yield "mistral", t.MistralConfig(**common, sliding_window=None)
    yield "mistral, window of 6", t.MistralConfig(**common, sliding_window=6)
    yield "qwen2", t.Qwen2Config(**common, tie_word_embeddings=True)
    yield "qwen2, linear rope", t.Qwen2Config(**common, rope_parameters=linear)
    yield "qwen3", t.Qwen3Config(**common, head_dim=32)
    yield "gpt2", t.GPT2Config(vocab_size=96, n_embd=64, n_inner=96, n_layer=2, n_head=4, n_positions=64, initializer_range=0.1,
                                bos_token_id=0, eos_token_id=1)


def check_architectures(scant, scratch):
    from transformers import AutoModelForCausalLM

    ids = [(7 * i + 5) % 96 for i in range(24)]
    for name, config in tiny_models():
        torch.manual_seed(3)
        folder = f"{scratch}/tiny"
        model = AutoModelForCausalLM.from_config(config)
        with torch.no_grad():  # biases and norms that are not all alike
            for key, value in model.named_parameters():
                if value.ndim == 1:
                    value.add_(0.2 * torch.randn_like(value))
        model.save_pretrained(folder)
        for kind, tolerance in (("F32", 5e-3 if name == "gpt2" else 1e-3), ("Q8_0", 0.05)):
            path, dense = export(scant, folder, kind, scratch)
            reference = AutoModelForCausalLM.from_pretrained(dense, dtype=torch.float32).eval()
            with torch.no_grad():
                expected = reference(torch.tensor([ids])).logits[0].double().numpy()
            theirs = llama_logits(llama(path, 64), ids)
            until = 6 if "window" in name else len(ids)  # llama.cpp attends to everything
            difference = np.abs(theirs - expected)[:until] / expected[:until].std()
            error = difference.max() if kind == "F32" else np.sqrt((difference**2).mean())
            report(error < tolerance, f"{name}, {kind}: logits differ by {error:.1e} of their deviation")
            if "window" in name:
                beyond = np.abs(theirs - expected)[until:].max() / expected.std()
                report(beyond > 0.1, f"{name}, {kind}: beyond the window llama.cpp computes something else ({beyond:.0e} of it), as the note says")


def check_pruned(scant, model, scratch, down):
    """Zeros stay zeros, or it is said that they do not."""
    for spelling in (f"int4:g32:{HALF}", f"int5:g32:{HALF}", f"int8:g32:{HALF}", "mxfp4", f"int4:g32:asym:{HALF}",
                     "q3_k", "q6_k", "q4_k"):
        out = f"{scratch}/pruned.gguf"
        said = run(scant, "compress", model, "-o", out, "--sparsity", "50%", "--weights", spelling, "--to", "gguf", "--force", *down)
        if spelling == "q4_k":
            report("Q4_K has no exact zero" in said, f"50% and {spelling}: lost zeros are said")
            continue
        zeros = total = 0
        for tensor in gguf.GGUFReader(out).tensors:
            if ".attn_q." in tensor.name or ".ffn_up." in tensor.name:
                values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
                zeros, total = zeros + (values == 0).sum(), total + values.size
        report(zeros >= total // 2, f"50% and {spelling}: {zeros / total:.1%} are zero in gguf's eyes")


def main():
    scant, model, text = sys.argv[1:4]
    has_llama = importlib.util.find_spec("llama_cpp") is not None
    with tempfile.TemporaryDirectory() as scratch:
        down = ["--skip", "down_proj"]  # 688 inputs are no multiple of 32
        for kind in FORMATS:
            path, dense = export(scant, model, kind, scratch, down)
            wrong, count, types = different_tensors(path, dense)
            report(not wrong, f"{kind}: {count} tensors ({', '.join(types)}), {len(wrong)} differ in gguf {wrong[:3]}")
        check_pruned(scant, model, scratch, down)
        if has_llama:
            check_architectures(scant, scratch)
            for source in [model, *sys.argv[4:]]:
                ids = json.loads(run(scant, "tokenize", source, "--text", text))
                ids = ids[: 2 * TOKENS if source.endswith(".gguf") else TOKENS]
                kinds = TO_LLAMA_CPP if not source.endswith(".gguf") else ["as it is", "F32", "Q8_0"]
                for kind in kinds:
                    # Rows of 1408 are no whole blocks of 256.
                    skipped = down if source == model or kind.endswith("_K") else ()
                    path, dense = (f"{scratch}/as-it-is.gguf", source) if kind == "as it is" else export(
                        scant, source, kind, scratch, skipped)
                    if kind == "as it is":
                        run(scant, "export", source, "--to", "gguf", "-o", path, "--force", "-q")
                    measured = f"{scratch}/packed" if FORMATS.get(kind) else dense
                    running = check_running(scant, measured, path, f"{kind}: {Path(source).name}", ids, text, scratch)
                    if kind == kinds[0]:
                        check_tokenizer(scant, source, running, Path(source).name, scratch)
    print(f"{passed} passed, {failed} failed{'' if has_llama else ' (without llama-cpp-python)'}")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
