"""Writes a checkpoint of Llama-3.2-1B's shape with random bfloat16 weights (2.5 GB), for measuring
memory and time. Usage: make_synthetic.py OUT [--layers N]

Only the standard library and numpy. The tokenizer is the embedded model's: its ids are valid.
"""

import argparse
import json
import pathlib
import shutil

import numpy as np

HIDDEN, FEED_FORWARD, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 2048, 8192, 32, 8, 64, 128256


def tensors(layers):
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", (HIDDEN,)
        yield prefix + "self_attn.q_proj.weight", (HEADS * HEAD_DIM, HIDDEN)
        yield prefix + "self_attn.k_proj.weight", (KV_HEADS * HEAD_DIM, HIDDEN)
        yield prefix + "self_attn.v_proj.weight", (KV_HEADS * HEAD_DIM, HIDDEN)
        yield prefix + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD_DIM)
        yield prefix + "post_attention_layernorm.weight", (HIDDEN,)
        yield prefix + "mlp.gate_proj.weight", (FEED_FORWARD, HIDDEN)
        yield prefix + "mlp.up_proj.weight", (FEED_FORWARD, HIDDEN)
        yield prefix + "mlp.down_proj.weight", (HIDDEN, FEED_FORWARD)
    yield "model.norm.weight", (HIDDEN,)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, default=16)
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    header, offset = {}, 0
    for name, shape in tensors(arguments.layers):
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(0)
    with open(out / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape in tensors(arguments.layers):
            if len(shape) == 1:
                file.write(np.full(shape, 0x3F80, np.uint16).tobytes())
                continue
            for begin in range(0, shape[0], 4096):
                rows = min(4096, shape[0] - begin)
                values = random.standard_normal((rows, shape[1]), np.float32) * 0.02
                file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": HIDDEN, "intermediate_size": FEED_FORWARD, "num_hidden_layers": arguments.layers,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
        "vocab_size": VOCABULARY, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0, "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
    }
    (out / "config.json").write_text(json.dumps(config, indent=2))
    embedded = pathlib.Path(__file__).resolve().parents[2] / "assets" / "quill-llama-5m"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(embedded / name, out / name)


if __name__ == "__main__":
    main()
