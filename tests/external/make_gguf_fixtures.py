#!/usr/bin/env python3
"""Makes tests/goldens/gguf/: GGUF files with the values that the `gguf` package reads from them.

    pip install gguf numpy safetensors
    tests/external/make_gguf_fixtures.py [FOLDER]

block_types.gguf      random blocks of every type, tensor "Q4_K", and beside each the values that
                      gguf.quants.dequantize gives, tensor "Q4_K.values" (F32)
llama_tiny.gguf       a random Llama of one layer in several types, rows of the query and key
                      projections interleaved as llama.cpp's converter does
llama_tiny/           the same model as a Hugging Face folder: config.json, and the dequantized
                      values as F32 in model.safetensors
vocabulary.gguf       a SentencePiece-style vocabulary without tensors
"""

import json
import math
import sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import save_file

PLAIN = [Type.F32, Type.F16, Type.BF16]
SMALL = [Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1]
LARGE = [Type.Q4_K, Type.Q5_K, Type.Q6_K]
LATER = [Type.TQ2_0, Type.MXFP4, Type.Q2_K, Type.Q3_K]  # behind the others, whose random bytes stay the same
# Where the float16 scales lie in a block: any other byte may be random, these must be finite.
SCALE_OFFSETS = {
    Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2],
    Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.TQ2_0: [64], Type.MXFP4: [],
    Type.Q2_K: [80, 82], Type.Q3_K: [108],
}


def random_blocks(rng, kind, rows, cols):
    if kind in PLAIN:
        values = rng.standard_normal((rows, cols)).astype(np.float32)
        return gguf.quants.quantize(values, kind)
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * cols // elements, size), dtype=np.uint8)
    for offset in SCALE_OFFSETS[kind]:
        scales = rng.standard_normal(len(blocks)).astype(np.float16)
        scales[:3] = [0.0, -0.0, 6e-8]  # zero of both signs and a subnormal
        blocks[:, offset : offset + 2] = rng.permutation(scales).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def block_types(path, rng):
    writer = gguf.GGUFWriter(path, "llama")
    for kind in PLAIN + SMALL + LARGE + LATER:
        rows, cols = (4, 256) if gguf.GGML_QUANT_SIZES[kind][0] == 256 else (4, 64)
        blocks = random_blocks(rng, kind, rows, cols)
        values = gguf.quants.dequantize(blocks, kind).astype(np.float32).reshape(rows, cols)
        if kind in (Type.F32, Type.F16):
            writer.add_tensor(kind.name, blocks)
        else:
            writer.add_tensor(kind.name, blocks.view(np.uint8), raw_dtype=kind)
        writer.add_tensor(kind.name + ".values", values)
    finish(writer)


def interleave(weights, heads):
    """Row order of llama.cpp's converter for the query and key projections."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def uninterleave(weights, heads):
    pairs = weights.reshape(heads, weights.shape[0] // heads // 2, 2, *weights.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weights.shape)


def llama3_divisors(head_size, theta, factor):
    """As in llama.cpp's converter: float32 results."""
    result = []
    for i in range(0, head_size, 2):
        wavelength = 2 * math.pi * theta ** (i / head_size)
        if wavelength < 8192 / 4:
            result.append(1.0)
        elif wavelength > 8192:
            result.append(factor)
        else:
            smooth = (8192 / wavelength - 1) / (4 - 1)
            result.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(result, dtype=np.float32)


def llama_tiny(path, folder, rng):
    hidden, heads, kv_heads, head_size, ffn, vocabulary, theta = 32, 4, 2, 16, 32, 12, 500000.0
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(hidden)
    writer.add_block_count(1)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(theta)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([f"<{i}>" for i in range(vocabulary)])
    writer.add_token_types([gguf.TokenType.NORMAL] * vocabulary)
    writer.add_token_merges(["a b", "b c"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0xFFFFFFFF)  # none

    layer, blk = "model.layers.0.", "blk.0."
    plan = [
        ("token_embd.weight", "model.embed_tokens.weight", (vocabulary, hidden), Type.Q8_0, 0),
        ("output_norm.weight", "model.norm.weight", (hidden,), Type.F32, 0),
        ("output.weight", "lm_head.weight", (vocabulary, hidden), Type.F16, 0),
    ]
    for name, translated, shape, kind, interleaved in [
        ("attn_norm.weight", "input_layernorm.weight", (hidden,), Type.F32, 0),
        ("attn_q.weight", "self_attn.q_proj.weight", (heads * head_size, hidden), Type.Q4_1, heads),
        ("attn_q.bias", "self_attn.q_proj.bias", (heads * head_size,), Type.F32, heads),
        ("attn_k.weight", "self_attn.k_proj.weight", (kv_heads * head_size, hidden), Type.BF16,
         kv_heads),
        ("attn_k.bias", "self_attn.k_proj.bias", (kv_heads * head_size,), Type.F32, kv_heads),
        ("attn_v.weight", "self_attn.v_proj.weight", (kv_heads * head_size, hidden), Type.Q5_0, 0),
        ("attn_v.bias", "self_attn.v_proj.bias", (kv_heads * head_size,), Type.F32, 0),
        ("attn_output.weight", "self_attn.o_proj.weight", (hidden, heads * head_size), Type.Q5_1, 0),
        ("attn_output.bias", "self_attn.o_proj.bias", (hidden,), Type.F32, 0),
        ("ffn_norm.weight", "post_attention_layernorm.weight", (hidden,), Type.F32, 0),
        ("ffn_gate.weight", "mlp.gate_proj.weight", (ffn, hidden), Type.Q4_0, 0),
        ("ffn_up.weight", "mlp.up_proj.weight", (ffn, hidden), Type.Q8_0, 0),
        ("ffn_down.weight", "mlp.down_proj.weight", (hidden, ffn), Type.F16, 0),
    ]:
        plan.append((blk + name, layer + translated, shape, kind, interleaved))

    expected = {}
    for name, translated, shape, kind, interleaved in plan:
        values = rng.standard_normal(shape).astype(np.float32)
        if interleaved:
            values = interleave(values, interleaved)
        blocks = gguf.quants.quantize(values, kind)
        read = gguf.quants.dequantize(blocks, kind).astype(np.float32).reshape(shape)
        expected[translated] = uninterleave(read, interleaved) if interleaved else read
        if kind in (Type.F32, Type.F16):
            writer.add_tensor(name, blocks)
        else:
            writer.add_tensor(name, blocks, raw_dtype=kind)
    writer.add_tensor("rope_freqs.weight", llama3_divisors(head_size, theta, 8.0))
    finish(writer)

    folder.mkdir(exist_ok=True)
    save_file({name: np.ascontiguousarray(values) for name, values in expected.items()},
              folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": 1,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_size,
        "max_position_embeddings": 128,
        "vocab_size": vocabulary,
        "rms_norm_eps": 1e-5,
        "rope_theta": theta,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192},
        "tie_word_embeddings": False,
        "attention_bias": True,
        "mlp_bias": False,
        "torch_dtype": "float32",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def vocabulary(path):
    writer = gguf.GGUFWriter(path, "starcoder2")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(["<unk>", "<s>", "</s>", "<0x0A>", "\u2581a"])
    writer.add_token_scores([0.0, 0.0, 0.0, 0.0, -1.5])
    writer.add_token_types([2, 3, 3, 6, 1])
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template("{{ messages }}")
    finish(writer)


def main():
    here = Path(__file__).resolve().parent
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "goldens" / "gguf"
    out.mkdir(parents=True, exist_ok=True)
    block_types(out / "block_types.gguf", np.random.default_rng(1))
    llama_tiny(out / "llama_tiny.gguf", out / "llama_tiny", np.random.default_rng(2))
    vocabulary(out / "vocabulary.gguf")


if __name__ == "__main__":
    main()
