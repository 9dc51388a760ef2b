#!/usr/bin/env python3
"""Makes the seeds of fuzz/corpus/safetensors, gguf, packed, imports and, part by part, tokenizer_json.

(The whole tokenizers among the latter come from tests/external/make_tokenizer_fixtures.py.)

    fuzz/make_corpus.py

Seeds that the fuzzer found stand beside them under their hashes and are left alone.
"""

import json
import struct
from pathlib import Path

from import_seeds import import_seeds

CORPUS = Path(__file__).resolve().parent / "corpus"


def put(target, seeds):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in seeds.items():
        (folder / name).write_bytes(content)


# --- packed ----------------------------------------------------------------------------------

def packed_seeds():
    seeds = {}
    formats = [("int4", "g16", "int4:g16"), ("int3", "channel", "int3:asym"), ("nvfp4", "g16", "nvfp4"),
               ("ternary", "tensor", "ternary:tensor"), ("bf16", "none", "bf16"), ("mxfp4", "block=32", "mxfp4"),
               ("int7", "g8", "int7:g8:narrow:scale=fp16"), ("fp8_e4m3", "channel", "fp8_e4m3")]
    layouts = [(None, "dense"), ("2:4", "n_of_m"), ("4:8", "n_of_m_positions"), ("50%", "bitmask"), ("50%:row", "bitmask"),
               ("50%:rows", "structured"), ("50%:cols", "structured"), ("50%:block=2x8", "block_bitmask"),
               ("50%:block=1x16", "block_rows")]
    for element, granularity, text in formats:
        for pattern, layout in layouts:
            description = {"element": element, "granularity": granularity, "format": text, "layout": layout,
                           "shape": [4, 33], "dtype": "BF16"}
            if pattern:
                description["pattern"] = pattern
            name = f"{element}-{layout}-{(pattern or 'all').replace(':', '_').replace('%', 'p').replace('=', '')}"
            # Half of all bits set: bitmasks have about the right count, ranks are often in range.
            seeds[name] = json.dumps(description).encode() + b"\n" + bytes([0x35] * 400)
    sound = {"element": "int4", "granularity": "channel", "format": "int4", "pattern": "2:4", "layout": "n_of_m",
             "shape": [2, 8], "dtype": "F32", "transposed": True, "column_factors": True}
    seeds["sound"] = json.dumps(sound).encode() + b"\n" + bytes(200)
    seeds["vector"] = json.dumps({**sound, "shape": [8], "transposed": False}).encode() + b"\n" + bytes(100)
    for key, value in {"shape": [0], "layout": "spiral", "format": "int9", "dtype": "I8", "transposed": 3,
                       "pattern": "9:4", "element": "int5", "granularity": 4}.items():
        seeds[f"bad-{key}"] = json.dumps({**sound, key: value}).encode() + b"\n"
    ordered = {"element": "int4", "granularity": "g2", "format": "int4:g2", "layout": "dense", "shape": [2, 4],
               "dtype": "F32", "column_order": True}
    body = bytes([0x21] * 4) + struct.pack("<4f", 1, 2, 3, 4)
    seeds["ordered"] = json.dumps(ordered).encode() + b"\n" + body + struct.pack("<4i", 2, 0, 3, 1)
    seeds["ordered_twice"] = json.dumps(ordered).encode() + b"\n" + body + struct.pack("<4i", 2, 0, 2, 1)
    seeds["missing"] = b"{}\n"
    seeds["list"] = b"[]"
    mask = {"element": "int4", "granularity": "channel", "format": "int4", "layout": "bitmask", "pattern": "50%",
            "shape": [2, 8], "dtype": "F32"}
    seeds["bitmask"] = json.dumps(mask).encode() + b"\n" + bytes([0x0F, 0x55] + [0x21] * 4) + struct.pack("<2f", 1, 2)
    rows = {**mask, "layout": "block_rows", "pattern": "50%:block=1x4", "shape": [2, 8]}
    seeds["blocks"] = json.dumps(rows).encode() + b"\n" + struct.pack("<3I2H", 0, 1, 2, 0, 1) + bytes(4) + bytes(8)
    listed = {**mask, "layout": "n_of_m_positions", "pattern": "2:4", "shape": [2, 8]}
    seeds["positions"] = json.dumps(listed).encode() + b"\n" + bytes([0x44, 0x44]) + bytes(4) + bytes(8)
    return seeds


# --- safetensors -----------------------------------------------------------------------------

def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


def safetensors_seeds():
    four, eight = bytes(4), bytes(8)
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": "m-1.safetensors"}}
    seeds = {
        "empty": file_of({}),
        "metadata": file_of({"__metadata__": {"format": "pt"}, "a": entry()}, four),
        "scalar": file_of({"a": entry(shape=())}, four),
        "no_elements": file_of({"a": entry(shape=(0, 3), offsets=(0, 0))}),
        "types": file_of({"a": entry("BF16", (2, 2), (0, 8)), "b": entry("F16", (2,), (8, 12)),
                          "c": entry("F4", (4,), (12, 14)), "d": entry("I64", (1,), (14, 22))},
                         bytes(22)),
        "padded": file_of(b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}   ', four),
        "too_short": b"1234",
        "header_too_long": file_of(b"{}", length=2**62),
        "header_cut": file_of(b"{}", length=50),
        "byte_order_mark": file_of(b"\xef\xbb\xbf{}"),
        "zero_byte": file_of(b"{}\0"),
        "json_cut": file_of(b'{"a":'),
        "array": file_of(b"[]"),
        "names_not_objects": file_of({"a": 1}),
        "metadata_not_text": file_of({"__metadata__": {"a": 1}}),
        "metadata_not_object": file_of({"__metadata__": []}),
        "metadata_twice": file_of(b'{"__metadata__":{},"__metadata__":{}}'),
        "null": file_of({"a": None}),
        "true": file_of({"a": True}),
        "float_shape": file_of({"a": entry(shape=(1.5,))}, four),
        "negative_shape": file_of({"a": entry(shape=(-1,))}, four),
        "text_shape": file_of({"a": {"shape": "x"}}),
        "nested_shape": file_of({"a": {"shape": [[1]]}}),
        "object_shape": file_of({"a": {"shape": [{}]}}),
        "number_dtype": file_of({"a": {"dtype": 1}}),
        "field_twice": file_of(b'{"a":{"dtype":"F32","dtype":"F32"}}'),
        "unknown_field": file_of({"a": entry(more=1)}, four),
        "lacks_field": file_of({"a": {"dtype": "F32"}}),
        "one_offset": file_of({"a": entry(offsets=(0,))}, four),
        "three_offsets": file_of({"a": entry(offsets=(0, 4, 4))}, four),
        "large_extent": file_of({"a": entry(shape=(2**63,))}, four),
        "overflow": file_of({"a": entry(shape=(2**62, 4), offsets=(0, 0))}),
        "overflow_of_nothing": file_of({"a": entry(shape=(0, 2**40, 2**40), offsets=(0, 0))}),
        "many_dimensions": file_of({"a": entry(shape=[1] * 65)}, four),
        "half_a_byte": file_of({"a": entry("F4", (3,), (0, 2))}, bytes(2)),
        "unknown_dtype": file_of({"a": entry("F33")}, four),
        "no_name": file_of({"": entry()}, four),
        "tensor_twice": file_of(b'{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
                                b'"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
        "wrong_size": file_of({"a": entry(shape=(2,))}, four),
        "reversed_offsets": file_of({"a": entry(offsets=(4, 0))}, four),
        "hole": file_of({"a": entry(offsets=(4, 8))}, eight),
        "overlap": file_of({"a": entry(), "b": entry(offsets=(2, 6))}, eight),
        "data_cut": file_of({"a": entry(shape=(2,), offsets=(0, 8))}, four),
        "data_left": file_of({"a": entry()}, eight),
        "control_in_name": file_of({"a\nb": 1}),
        "long_name": file_of({"x" * 300: 1}),
        "utf8_name": file_of('{"\u00e9\u20ac\U0001f642":1}'.encode()),
        "not_utf8_name": file_of(b'{"\xff":1}'),
        "index": json.dumps(index).encode(),
        "index_no_map": b'{"metadata":{}}',
        "index_outside": b'{"weight_map":{"a":"../m.safetensors"}}',
        "index_not_text": b'{"weight_map":{"a":1}}',
        "index_array": b"[1]",
        "index_deep": b'{"a":' + b"[" * 80,
        "index_cut": b'{"weight_map":',
        "index_number": b'{"a":1e999}',
        "index_zero_byte": b'{"a":"\0"}',
    }
    return seeds


# --- GGUF ------------------------------------------------------------------------------------

def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def encoded(kind, value):
    return text(value) if kind == 8 else struct.pack("<" + NUMBERS[kind], value)


def array(kind, values, count=None):
    items = b"".join(encoded(kind, value) for value in values)
    return struct.pack("<IQ", kind, len(values) if count is None else count) + items


def u32(value):
    return (4, encoded(4, value))


def f32(value):
    return (6, encoded(6, value))


def string(value):
    return (8, text(value))


def items(kind, values, count=None):
    return (9, array(kind, values, count))


BYTES = {0: (1, 4), 1: (1, 2), 30: (1, 2), 8: (32, 34), 2: (32, 18), 3: (32, 20), 6: (32, 22),
         7: (32, 24), 12: (256, 144), 13: (256, 176), 14: (256, 210), 35: (256, 66), 39: (32, 17)}


def tensor(name, extents, kind=0, offset=None, rank=None):
    elements = 1
    for extent in extents:
        elements *= extent
    block, size = BYTES.get(kind, (1, 0))
    data = bytes(i * 37 % 251 for i in range(elements // block * size)) if elements < 2**16 else b""
    return name, extents, kind, offset, len(extents) if rank is None else rank, data


def gguf(keys=(), tensors=(), version=3, alignment=32, counts=None, pad=True):
    keys = list(keys.items()) if isinstance(keys, dict) else list(keys)
    n_tensors, n_keys = counts or (len(tensors), len(keys))
    out = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys)
    for name, (kind, value) in keys:
        out += text(name) + struct.pack("<I", kind) + value
    data = b""
    for name, extents, kind, offset, rank, content in tensors:
        out += text(name) + struct.pack("<I", rank)
        out += b"".join(struct.pack("<Q", extent) for extent in extents)
        out += struct.pack("<IQ", kind, len(data) if offset is None else offset)
        data += content + bytes(-len(content) % alignment)
    return out + (bytes(-len(out) % alignment) if pad else b"") + data


def llama_keys(**changes):
    keys = {
        "general.architecture": string("llama"),
        "llama.embedding_length": u32(8),
        "llama.block_count": u32(1),
        "llama.feed_forward_length": u32(4),
        "llama.context_length": u32(16),
        "llama.attention.head_count": u32(2),
        "llama.attention.layer_norm_rms_epsilon": f32(1e-5),
    }
    for name, value in changes.items():
        name = name.replace("__", ".")
        name = name if name.startswith("general.") else "llama." + name
        if value is None:
            del keys[name]
        else:
            keys[name] = value
    return keys


def keys_of(architecture, epsilon="attention.layer_norm_rms_epsilon"):
    """The same keys of another architecture."""
    keys = llama_keys(general__architecture=string(architecture), attention__layer_norm_rms_epsilon=None)
    keys["llama." + epsilon] = f32(1e-5)
    return {key.replace("llama.", architecture + "."): value for key, value in keys.items()}


def vocabulary_keys(**changes):
    keys = {
        "tokenizer.ggml.model": string("llama"),
        "tokenizer.ggml.tokens": items(8, ["a", "b"]),
        "tokenizer.ggml.scores": items(6, [0.5, 1.0]),
        "tokenizer.ggml.token_type": items(5, [1, 3]),
        "tokenizer.ggml.merges": items(8, ["a b"]),
        "tokenizer.ggml.pre": string("default"),
        "tokenizer.ggml.bos_token_id": u32(0),
        "tokenizer.ggml.eos_token_id": u32(1),
        "tokenizer.ggml.unknown_token_id": (5, encoded(5, 1)),
        "tokenizer.ggml.padding_token_id": u32(0xFFFFFFFF),
        "tokenizer.ggml.add_bos_token": (7, b"\1"),
        "tokenizer.ggml.add_eos_token": (7, b"\0"),
        "tokenizer.ggml.add_space_prefix": (7, b"\1"),
        "tokenizer.chat_template": string("{{x}}"),
    }
    keys.update({"tokenizer.ggml." + name: value for name, value in changes.items()})
    return keys


EMBEDDING = tensor("token_embd.weight", [8, 3])
LAYER = [
    EMBEDDING, tensor("output_norm.weight", [8]), tensor("output.weight", [8, 3], 1),
    tensor("blk.0.attn_norm.weight", [8]), tensor("blk.0.attn_q.weight", [8, 8], 30),
    tensor("blk.0.attn_q.bias", [8]), tensor("blk.0.attn_k.weight", [8, 8]),
    tensor("blk.0.attn_v.weight", [8, 8]), tensor("blk.0.attn_output.weight", [8, 8]),
    tensor("blk.0.ffn_norm.weight", [8]), tensor("blk.0.ffn_gate.weight", [8, 4]),
    tensor("blk.0.ffn_up.weight", [8, 4]), tensor("blk.0.ffn_down.weight", [4, 8]),
]
GPT2_LAYER = [
    EMBEDDING, tensor("position_embd.weight", [8, 16]), tensor("output_norm.weight", [8]), tensor("output_norm.bias", [8]),
    tensor("blk.0.attn_norm.weight", [8]), tensor("blk.0.attn_qkv.weight", [8, 24], 1), tensor("blk.0.attn_qkv.bias", [24]),
    tensor("blk.0.attn_output.weight", [8, 8]), tensor("blk.0.ffn_up.weight", [8, 4]), tensor("blk.0.ffn_down.weight", [4, 8]),
]
LLAMA3_DIVISORS = struct.pack("<2f", 1.0, 1.0)


def sound_gguf_seeds():
    every_kind = {f"k{kind}": (kind, encoded(kind, 1)) for kind in NUMBERS}
    seeds = {
        "vocabulary": gguf(vocabulary_keys()),
        "every_value_type": gguf({**vocabulary_keys(), **every_kind,
                                  "list": items(2, [1, 2])}),
        "version_2": gguf(vocabulary_keys(), version=2),
        "whole_llama": gguf({**llama_keys(), **vocabulary_keys()}, LAYER),
        "half_llama": gguf(llama_keys(), [tensor("token_embd.weight", [8, 3], 1)]),
        "alignment": gguf(llama_keys(general__alignment=u32(64)), [EMBEDDING], alignment=64),
        "linear_rope": gguf(llama_keys(rope__scaling__factor=f32(4.0)), [EMBEDDING]),
        "no_rope_scaling": gguf(llama_keys(rope__scaling__type=string("none")), [EMBEDDING]),
        "double_theta": gguf(llama_keys(rope__freq_base=(12, encoded(12, 5e5))), [EMBEDDING]),
        "llama3_rope": gguf(llama_keys(),
                            [EMBEDDING, ("rope_freqs.weight", [2], 0, None, 1, LLAMA3_DIVISORS)]),
        "other_factors": gguf(llama_keys(), [EMBEDDING, tensor("rope_freqs.weight", [2])]),
        "heads_by_layer": gguf(llama_keys(attention__head_count_kv=items(5, [1, 1])), [EMBEDDING]),
    }
    for architecture in ("qwen2", "qwen3"):
        seeds["whole_" + architecture] = gguf(keys_of(architecture), LAYER)
    seeds["qwen3_norms"] = gguf(keys_of("qwen3"), [EMBEDDING, tensor("blk.0.attn_q_norm.weight", [4])])
    gpt2 = keys_of("gpt2", "attention.layer_norm_epsilon")
    seeds["whole_gpt2"] = gguf({**gpt2, **vocabulary_keys(model=string("gpt2"))}, GPT2_LAYER)
    seeds["gpt2_vector_to_turn"] = gguf(gpt2, [EMBEDDING, tensor("blk.0.ffn_up.weight", [8])])
    seeds["gpt2_rope"] = gguf(gpt2, [EMBEDDING, tensor("rope_freqs.weight", [2])])
    for kind, (block, _) in BYTES.items():
        width = max(block, 8)
        seeds[f"type_{kind}"] = gguf(llama_keys(embedding_length=u32(width)),
                                     [tensor("token_embd.weight", [width, 1], kind)])
    seeds["vector_of_blocks"] = gguf(llama_keys(), [EMBEDDING, tensor("output_norm.weight", [64], 2)])
    return seeds


def broken_gguf_seeds():
    vocabulary = vocabulary_keys
    seeds = {
        "magic": b"GGML" + bytes(20),
        "short": b"GG",
        "version_1": gguf(version=1),
        "big_endian": gguf(version=0x03000000),
        "nothing": gguf(),
        "many_keys": gguf(counts=(0, 2**63)),
        "many_tensors": gguf(counts=(2**63, 0)),
        "cut": gguf(vocabulary())[:-40],
        "key_twice": gguf([("a", u32(1)), ("a", u32(1))]),
        "key_without_name": gguf({"": u32(1)}),
        "key_not_utf8": gguf({b"\xff": u32(1)}),
        "value_type": gguf({"a": (13, b"")}),
        "item_type": gguf({"a": (9, struct.pack("<IQ", 13, 1))}),
        "array_of_arrays": gguf({"a": (9, struct.pack("<IQ", 9, 1) + bytes(16))}),
        "many_items": gguf({"a": items(4, [1], 2**62)}),
        "many_texts": gguf({"a": items(8, ["x"], 2**62)}),
        "long_text": gguf({"a": (8, struct.pack("<Q", 2**63))}),
        "alignment_3": gguf({"general.alignment": u32(3)}),
        "alignment_text": gguf({"general.alignment": string("32")}),
        "alignment_huge": gguf({"general.alignment": u32(2**30)}, [EMBEDDING]),
        "rank": gguf(tensors=[tensor("t", [1] * 5)]),
        "extent_0": gguf(tensors=[tensor("t", [0])]),
        "extent_overflow": gguf(tensors=[tensor("t", [2**40, 2**40])]),
        "tensor_cut": gguf(tensors=[tensor("t", [2**50])]),
        "partial_block": gguf(tensors=[tensor("t", [33], 2)]),
        "type_unsupported": gguf(tensors=[tensor("t", [256], 10)]),
        "type_unknown": gguf(tensors=[tensor("t", [256], 77)]),
        "tensor_without_name": gguf(tensors=[tensor("", [1])]),
        "tensor_not_utf8": gguf(tensors=[tensor(b"\xed\xa0\x80", [1])]),
        "tensor_long_name": gguf(tensors=[tensor("x" * 65, [1])]),
        "tensor_twice": gguf(tensors=[tensor("t", [1]), tensor("t", [1])]),
        "offset": gguf(tensors=[tensor("t", [1], offset=64)]),
        "split": gguf({**llama_keys(), "split.count": u32(3), "split.no": u32(0)}, [EMBEDDING]),
        "no_tokens": gguf({"tokenizer.ggml.model": string("llama")}),
        "scores_short": gguf(vocabulary(scores=items(6, []))),
        "types_wrong": gguf(vocabulary(token_type=items(6, [1.0, 2.0]))),
        "tokens_not_array": gguf(vocabulary(tokens=u32(1))),
        "model_not_text": gguf(vocabulary(model=u32(1))),
        "bos_text": gguf(vocabulary(bos_token_id=string("a"))),
        "bos_negative": gguf(vocabulary(bos_token_id=(5, encoded(5, -1)))),
        "flag_number": gguf(vocabulary(add_bos_token=u32(1))),
    }
    llamas = {
        "architecture": {"general__architecture": string("qwen2")},
        "no_architecture": {"general__architecture": None},
        "experts": {"expert_count": u32(8)},
        "no_embedding_length": {"embedding_length": None},
        "zero_blocks": {"block_count": u32(0)},
        "huge_heads": {"attention__head_count": u32(2**31)},
        "key_heads": {"attention__head_count_kv": u32(3)},
        "heads_differ": {"attention__head_count_kv": items(5, [1, 2])},
        "odd_heads": {"attention__key_length": u32(3)},
        "partial_rotary": {"rope__dimension_count": u32(2)},
        "no_epsilon": {"attention__layer_norm_rms_epsilon": None},
        "theta_nan": {"rope__freq_base": f32(float("nan"))},
        "theta_integer": {"rope__freq_base": u32(10000)},
        "yarn": {"rope__scaling__type": string("yarn")},
        "negative_factor": {"rope__scaling__factor": f32(-1.0)},
    }
    for name, changes in llamas.items():
        seeds["llama_" + name] = gguf(llama_keys(**changes), [EMBEDDING])
    tensors = {
        "no_embedding": [tensor("output.weight", [8, 3])],
        "embedding_shape": [tensor("token_embd.weight", [4, 3])],
        "beyond_layers": [EMBEDDING, tensor("blk.1.attn_q.weight", [8, 8])],
        "layer_number": [EMBEDDING, tensor("blk.x.attn_q.weight", [8, 8])],
        "other_tensor": [EMBEDDING, tensor("cls.weight", [8, 8])],
        "other_kind": [EMBEDDING, tensor("blk.0.attn_q.scale", [8, 8])],
        "query_rows": [EMBEDDING, tensor("blk.0.attn_q.weight", [8, 4])],
        "factors_shape": [EMBEDDING, tensor("rope_freqs.weight", [3])],
    }
    for name, listed in tensors.items():
        seeds["llama_" + name] = gguf(llama_keys(), listed)
    seeds["llama_two_scalings"] = gguf(llama_keys(rope__scaling__factor=f32(2.0)),
                                       [EMBEDDING, tensor("rope_freqs.weight", [2])])
    return seeds


# --- tokenizer.json --------------------------------------------------------------------------

def tokenizer_json(model=None, **parts):
    """A tokenizer of three tokens with some parts changed."""
    whole = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
             "decoder": None}
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]} | (model or {})
    return json.dumps(whole | parts | {"model": model}, ensure_ascii=False).encode()


def added_token(content, number, **flags):
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return {"id": number, "content": content} | usual | flags


def splitting_at(expression):
    return tokenizer_json(pre_tokenizer={"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated",
                                         "invert": False})


def template_of(number):
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a", "type_id": 0}}], "pair": [],
            "special_tokens": {"a": {"id": "a", "ids": [number], "tokens": ["a"]}}}


def tokenizer_seeds():
    expressions = {
        "escapes": r"\d\w\h\v\x41\u0042\x{1F642}\é\.|[\d\w\h\b\x{2581}-]|\D\W\H|\Aa|a\z|a\Z",
        "negated_set": r"[\W]", "last_backslash": "a\\", "anchor_in_set": r"[\A]", "unknown_escape": r"\q",
        "broken_code": r"\xZ", "open_code": r"\x{41", "raw_byte": r"\x85", "no_boundary_in_set": r"[\B]",
        "open_bracket": "[a", "named_group": "(?P<x>a)", "ignore_case": "(?i)THE|FOX", "open_group": "a\n(",
        "backtracking": "(a|aa|aaa)+[c]", "long": "é" * 120 + "(",
    }
    seeds = {f"pattern_{name}": splitting_at(expression) for name, expression in expressions.items()}
    models = {"type": {"type": "Unigram"}, "dropout": {"dropout": 0.1}, "suffix": {"end_of_word_suffix": "</w>"},
              "id_text": {"vocab": {"a": "0"}}, "id_huge": {"vocab": {"a": 2**40}}, "id_2_to_63": {"vocab": {"a": 2**63}},
              "id_twice": {"vocab": {"a": 0, "b": 0}}, "merge_unknown": {"merges": ["a c"]},
              "merge_of_three": {"merges": ["a b c"]}, "merge_number": {"merges": [1]}}
    seeds |= {f"model_{name}": tokenizer_json(changes) for name, changes in models.items()}
    unknown = {"type": "Unknown"}
    parts = {
        "version": {"version": "2.0"}, "normalizer": {"normalizer": unknown}, "pre_tokenizer": {"pre_tokenizer": unknown},
        "decoder": {"decoder": unknown}, "post_processor": {"post_processor": unknown},
        "pattern_kind": {"normalizer": {"type": "Replace", "pattern": {}, "content": ""}},
        "behavior": {"pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Kept", "invert": False}},
        "scheme": {"decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}},
        "scheme_and_flag": {"decoder": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": False}},
        "replacement": {"decoder": {"type": "Metaspace", "replacement": "ab"}},
        "template_id": {"post_processor": template_of(3)}, "template_negative": {"post_processor": template_of(-1)},
        "template_2_to_63": {"post_processor": template_of(2**63)},
    }
    seeds |= {f"part_{name}": tokenizer_json(**changes) for name, changes in parts.items()}
    lowercase = {"type": "Lowercase"}
    added = {
        "id": [added_token("tok_a", 7)], "long": [added_token("x" * 1025, 3)],
        "alike": [added_token("A", 3, normalized=True), added_token("a", 0, normalized=True)],
        "flags": [added_token("fox", 3, single_word=True), added_token("tok_a", 4, lstrip=True, rstrip=True),
                  added_token("汉", 5, single_word=True), added_token("s", 6, single_word=True)],
        "twice": [added_token("fox", 3), added_token("fox", 3)],
    }
    seeds |= {f"added_{name}": tokenizer_json(normalizer=lowercase, added_tokens=tokens)
              for name, tokens in added.items()}
    seeds["added_in_vocabulary"] = tokenizer_json({"vocab": {"a": 0, "b": 1, "ab": 3}},
                                                  added_tokens=[added_token("fox", 3)])
    return {f"{name}.json": content for name, content in seeds.items()}


if __name__ == "__main__":
    put("packed", packed_seeds())
    put("imports", import_seeds())
    put("safetensors", safetensors_seeds())
    put("gguf", {**sound_gguf_seeds(), **broken_gguf_seeds()})
    put("tokenizer_json", tokenizer_seeds())
