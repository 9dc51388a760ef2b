#!/usr/bin/env python3
"""Makes tests/goldens/models/: tiny random models of every family and option, with their logits.

    pip install torch transformers safetensors
    tests/external/make_model_fixtures.py [FOLDER]

Each sub-folder is a Hugging Face folder (config.json, model.safetensors) and expected.json: the ids
of one input and the logits that transformers gives for it in float32 with eager attention, tokens
x vocabulary. The seed is the model's place in the list below.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig, OPTConfig,
                          Qwen2Config, Qwen3Config)

TOKENS = 14
LLAMA = dict(vocab_size=67, hidden_size=32, intermediate_size=44, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
             rms_norm_eps=1e-5, pad_token_id=0, bos_token_id=1, eos_token_id=2)
OPT = dict(vocab_size=67, hidden_size=32, ffn_dim=44, num_hidden_layers=2, num_attention_heads=4,
           max_position_embeddings=20, pad_token_id=1, bos_token_id=2, eos_token_id=2)
GPT2 = dict(vocab_size=67, n_positions=20, n_embd=32, n_layer=2, n_head=4, bos_token_id=1,
            eos_token_id=2)
# Wavelengths of head_dim 8 and theta 10000 are 6, 63, 628 and 6283: one is kept, one interpolated.
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=48)


def old_rope(theta, scaling):
    """The keys of transformers 4 in place of rope_parameters."""
    def edit(config):
        config.pop("rope_parameters")
        config["rope_theta"] = theta
        config["rope_scaling"] = scaling
    return edit


def without_prefix(tensors):
    return {name.removeprefix("transformer."): value for name, value in tensors.items()}


def remove(*keys):
    return lambda config: [config.pop(key, None) for key in keys]


# name: (configuration, stored type, edit of config.json, edit of the tensors)
MODELS = {
    "llama": (LlamaConfig(**LLAMA), torch.float16, old_rope(10000.0, None), None),
    "llama_tied_bias": (
        LlamaConfig(**LLAMA, tie_word_embeddings=True, head_dim=12, attention_bias=True,
                    mlp_bias=True), torch.bfloat16, None, None),
    "llama_linear": (
        LlamaConfig(**LLAMA, rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=2.5)),
        torch.float16, old_rope(500.0, dict(type="linear", factor=2.5)), None),
    "llama_llama3": (
        LlamaConfig(**LLAMA, rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, **LLAMA3)),
        torch.float16, old_rope(10000.0, dict(rope_type="llama3", **LLAMA3)), None),
    "llama_rope_parameters": (
        LlamaConfig(**LLAMA, rope_parameters=dict(rope_type="llama3", rope_theta=10000.0, **LLAMA3)),
        torch.bfloat16, None, None),
    "mistral": (MistralConfig(**LLAMA, sliding_window=5), torch.bfloat16, None, None),
    "mistral_no_window": (MistralConfig(**LLAMA, sliding_window=None), torch.bfloat16, None, None),
    "qwen2": (Qwen2Config(**LLAMA, tie_word_embeddings=True), torch.float16, None, None),
    "qwen2_window": (
        Qwen2Config(**LLAMA, use_sliding_window=True, sliding_window=4, max_window_layers=1),
        torch.bfloat16, remove("layer_types"), None),
    "qwen3": (Qwen3Config(**LLAMA, head_dim=12, tie_word_embeddings=True), torch.float16, None, None),
    "qwen3_window_bias": (
        Qwen3Config(**LLAMA, head_dim=8, attention_bias=True, use_sliding_window=True,
                    sliding_window=4, layer_types=["sliding_attention", "full_attention"]),
        torch.bfloat16, None, None),
    "opt": (OPTConfig(**OPT), torch.float16, None, None),
    "opt_post_norm": (
        OPTConfig(**OPT, do_layer_norm_before=False, word_embed_proj_dim=20), torch.float16, None,
        None),
    "opt_pre_norm_projected": (
        OPTConfig(**OPT, word_embed_proj_dim=20, activation_function="gelu"), torch.bfloat16, None,
        None),
    "opt_plain": (
        OPTConfig(**OPT, enable_bias=False, layer_norm_elementwise_affine=False,
                  _remove_final_layer_norm=True), torch.float32, None, None),
    "gpt2": (GPT2Config(**GPT2), torch.bfloat16, None, None),
    "gpt2_options": (
        GPT2Config(**GPT2, n_inner=40, activation_function="gelu", scale_attn_weights=False,
                   scale_attn_by_inverse_layer_idx=True, tie_word_embeddings=False,
                   layer_norm_epsilon=1e-3), torch.float16, None, without_prefix),
}


def randomize(model, generator):
    """Weights large enough for every part to matter: biases and norms are not left at 0 and 1."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        norm = "norm" in name or ".ln_" in name
        if norm and name.endswith("weight"):
            parameter.data = 1 + 0.3 * noise
        elif parameter.dim() == 1:
            parameter.data = 0.3 * noise
        elif "embed" in name or "wte" in name or "wpe" in name:
            parameter.data = 0.5 * noise
        else:
            parameter.data = 1.3 * noise / parameter.shape[-1] ** 0.5


def make(folder, seed, config, dtype, edit_config, edit_tensors):
    shutil.rmtree(folder, ignore_errors=True)
    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    randomize(model, generator)
    model.tie_weights()
    model.to(dtype).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    path = folder / "config.json"
    text = json.loads(path.read_text())
    text["architectures"] = [type(model).__name__]
    if edit_config:
        edit_config(text)
    path.write_text(json.dumps(text, indent=1, sort_keys=True) + "\n")
    if edit_tensors:
        tensors = edit_tensors(load_file(folder / "model.safetensors"))
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    # Read back what was written: the folder alone defines the model.
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    ids = torch.randint(3, config.vocab_size, (TOKENS,), generator=generator)
    with torch.no_grad():
        logits = model(ids[None]).logits[0]
    rows = [[float(f"{value:.7g}") for value in row] for row in logits.tolist()]
    expected = dict(made_with=f"transformers {transformers.__version__}, torch {torch.__version__}",
                    ids=ids.tolist(), logits=rows)
    (folder / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name:24} {size:7} bytes, logits {logits.std():.2f} +- {logits.abs().max():.1f}")


def main():
    default = Path(__file__).resolve().parent.parent / "goldens" / "models"
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    root.mkdir(parents=True, exist_ok=True)
    for seed, (name, arguments) in enumerate(MODELS.items()):
        make(root / name, seed, *arguments)


if __name__ == "__main__":
    main()
