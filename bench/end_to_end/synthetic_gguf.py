#!/usr/bin/env python3
"""Writes the folder that make_synthetic.py made as GGUF without a vocabulary, so that llama.cpp can be timed on the same shape.
Usage: synthetic_gguf.py FOLDER OUT.gguf. Needs the PyPI package gguf.
"""

import argparse
import json
import pathlib

import gguf
import numpy as np

NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm"}


def gguf_name(name):
    name = name.removeprefix("model.").removesuffix(".weight")
    if not name.startswith("layers."):
        return {"embed_tokens": "token_embd", "norm": "output_norm"}[name] + ".weight"
    _, layer, inner = name.split(".", 2)
    return f"blk.{layer}.{NAMES[inner]}.weight"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out")
    arguments = parser.parse_args()
    config = json.loads((arguments.folder / "config.json").read_text())
    path = arguments.folder / "model.safetensors"
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    data = np.memmap(path, np.uint8, "r", 8 + length)

    writer = gguf.GGUFWriter(arguments.out, "llama")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = data[begin:end]
        if len(entry["shape"]) == 1:  # llama.cpp wants norms as float32
            values = (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
            writer.add_tensor(gguf_name(name), values)
        else:
            rows = raw.reshape(entry["shape"][0], 2 * entry["shape"][1])
            writer.add_tensor(gguf_name(name), rows, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
