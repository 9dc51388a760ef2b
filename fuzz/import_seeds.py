"""Seeds of fuzz/imports: config.json in one line, then a safetensors file, one small module each."""

import json
import math
import struct

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "I64": 8, "I32": 4, "I8": 1, "U8": 1}
ONE = {"F32": b"\0\0\x80?", "F16": b"\0<", "BF16": b"\x80?", "F8_E4M3": b"8", "U8": b"\x7f"}


def folder(config, tensors):
    """`tensors`: name -> (dtype, shape, bytes or None for ones)."""
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        count = math.prod(shape)
        if content is None:
            content = ONE.get(dtype, b"\x53") * count if dtype in ONE else b"\x53" * (count * SIZES[dtype])
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return json.dumps(config).encode() + b"\n" + struct.pack("<Q", len(text)) + text + data


# --- compressed-tensors ------------------------------------------------------------------------

def arguments(bits, kind="int", strategy="channel", symmetric=True, group=None, **more):
    return {"num_bits": bits, "type": kind, "strategy": strategy, "symmetric": symmetric, "group_size": group, **more}


def compressed_tensors(weights, tensors, inputs=None, targets=("Linear",), **more):
    group = {"targets": list(targets), "weights": weights, "input_activations": inputs, "output_activations": None}
    config = {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, **more}}
    return folder(config, {f"m.{name}": tensor for name, tensor in tensors.items()})


def packed(rows, cols, bits, groups=1, words=None, **more):
    words = math.ceil(cols * bits / 32) if words is None else words
    return {"weight_packed": ("I32", (rows, words), None), "weight_scale": ("BF16", (rows, groups), None),
            "weight_shape": ("I64", (2,), struct.pack("<2q", rows, cols)), **more}


def compressed_tensors_seeds():
    seeds = {}
    for bits in (2, 3, 4, 5, 8):
        seeds[f"int{bits}"] = compressed_tensors(arguments(bits), packed(4, 40, bits))
        zeros = {"weight_zero_point": ("I32", (math.ceil(4 * bits / 32), 5), None)}
        seeds[f"int{bits}_asym"] = compressed_tensors(arguments(bits, "int", "group", False, 8),
                                                      packed(4, 40, bits, 5, **zeros))
    seeds["int3_old_words"] = compressed_tensors(arguments(3), packed(4, 40, 3, words=4))
    seeds["old_zeros"] = compressed_tensors(arguments(4), packed(4, 8, 4, weight_zero_point=("I8", (4, 1), None)))
    for name, groups in {"permuted": range(5), "unset": [-1] * 5, "in_order": [0] * 5, "bad": [7] * 5}.items():
        index = b"".join(struct.pack("<i", groups[c % 5] if name != "in_order" else c // 8) for c in range(40))
        seeds[f"g_idx_{name}"] = compressed_tensors(arguments(4, "int", "group", True, 8),
                                                    packed(4, 40, 4, 5, weight_g_idx=("I32", (40,), index)))
    plain = {"weight": ("I8", (4, 8), None), "weight_scale": ("F32", (4, 1), None)}
    seeds["int8"] = compressed_tensors(arguments(8), plain)
    seeds["int8_tensor"] = compressed_tensors(arguments(8, strategy="tensor"),
                                              {**plain, "weight_scale": ("F32", (1,), None)})
    seeds["int8_asym"] = compressed_tensors(arguments(8, symmetric=False),
                                            {**plain, "weight_zero_point": ("I8", (4, 1), None)})
    seeds["int4_in_bytes"] = compressed_tensors(arguments(4), plain)
    token = arguments(8, strategy="token", dynamic=True)
    seeds["w8a8"] = compressed_tensors(arguments(8), plain, token, format="int-quantized")
    static = {**plain, "input_scale": ("F32", (1,), None), "input_zero_point": ("I8", (1,), None)}
    seeds["w8a8_static"] = compressed_tensors(arguments(8), static, arguments(8, strategy="tensor", symmetric=False))
    seeds["w8a8_no_scale"] = compressed_tensors(arguments(8), plain, arguments(8, strategy="tensor"))
    seeds["w8a8_groups"] = compressed_tensors(arguments(8), plain, arguments(8, "int", "group", True, 8, dynamic=True))
    fp8 = {"weight": ("F8_E4M3", (4, 32), None), "weight_scale": ("F16", (4, 1), None)}
    seeds["fp8"] = compressed_tensors(arguments(8, "float"), fp8, arguments(8, "float", "tensor", dynamic=True))
    seeds["fp8_blocks"] = compressed_tensors(arguments(8, "float", "block", block_structure=[3, 8]),
                                             {**fp8, "weight_scale": ("BF16", (2, 4), None)})
    seeds["fp8_bad_blocks"] = compressed_tensors(arguments(8, "float", "block", block_structure=[3]), fp8)
    seeds["mxfp8"] = compressed_tensors(arguments(8, "float", "group", True, 32),
                                        {**fp8, "weight_scale": ("U8", (4, 1), None)})
    nibbles = {"weight_packed": ("U8", (4, 16), None), "weight_scale": ("U8", (4, 1), None)}
    group = arguments(4, "float", "group", True, 32)
    seeds["mxfp4"] = compressed_tensors(group, nibbles, {**group, "dynamic": True})
    seeds["mxfp4_groups"] = compressed_tensors(arguments(4, "float", "group", True, 16),
                                               {**nibbles, "weight_scale": ("U8", (4, 2), None)})
    seeds["mxfp6"] = compressed_tensors(arguments(6, "float", "group", True, 32),
                                        {**nibbles, "weight_packed": ("U8", (4, 24), None)},
                                        arguments(6, "float", "group", True, 32, dynamic=True))
    nvfp4 = {**nibbles, "weight_scale": ("F8_E4M3", (4, 2), None), "weight_global_scale": ("F32", (1,), None)}
    group = arguments(4, "float", "tensor_group", True, 16)
    seeds["nvfp4"] = compressed_tensors(group, nvfp4, {**group, "dynamic": "local"})
    seeds["nvfp4_zero_global"] = compressed_tensors(group, {**nvfp4, "weight_global_scale": ("F32", (1,), bytes(4))})
    for name, targets in {"name": ["m"], "expression": ["re:.*m"], "none": ["n"], "bad": ["re:("],
                          "slow": ["re:(a*)*b"]}.items():
        seeds[f"target_{name}"] = compressed_tensors(arguments(8), plain, None, targets)
    for key, value in {"num_bits": 9, "type": "text", "symmetric": 1, "group_size": -2, "strategy": "token",
                       "block_structure": 1}.items():
        seeds[f"bad_{key}"] = compressed_tensors({**arguments(8), key: value}, plain)
    seeds["bad_strategy_text"] = compressed_tensors(arguments(8, strategy="x"), plain)
    seeds["inferred_strategy"] = compressed_tensors({"num_bits": 8, "group_size": -1}, plain)
    seeds["no_groups"] = folder({"quantization_config": {"quant_method": "compressed-tensors"}}, {})
    seeds["preset"] = folder({"quantization_config": {"quant_method": "compressed-tensors",
                                                      "config_groups": {"W8A8": ["Linear"]}}}, {})
    seeds["sparse"] = compressed_tensors(arguments(8), plain, sparsity_config={"format": "sparse-24-bitmask"})
    seeds["transforms"] = compressed_tensors(arguments(8), plain, transform_config={"a": 1})
    seeds["wrong_shape"] = compressed_tensors(arguments(4), packed(4, 40, 4, words=3))
    seeds["huge_shape"] = compressed_tensors(arguments(4), {
        **packed(4, 40, 4), "weight_shape": ("I64", (2,), struct.pack("<2q", 4, 1 << 60))})
    return {f"compressed_tensors_{name}": seed for name, seed in seeds.items()}


# --- gptq, awq, fp8, bitsandbytes ------------------------------------------------------------------

def gptq(tensors, method="gptq", **config):
    return folder({"quantization_config": {"quant_method": method, **config}},
                  {f"m.{name}": tensor for name, tensor in tensors.items()})


def gptq_tensors(bits, groups=2, inputs=32, outputs=32, **more):
    return {"qweight": ("I32", (inputs * bits // 32, outputs), None),
            "qzeros": ("I32", (groups, outputs * bits // 32), None),
            "scales": ("F16", (groups, outputs), None),
            "g_idx": ("I32", (inputs,), struct.pack(f"<{inputs}i", *[c * groups // inputs for c in range(inputs)])),
            **more}


def gptq_seeds():
    seeds = {f"{bits}": gptq(gptq_tensors(bits), bits=bits, group_size=16, sym=False) for bits in (2, 3, 4, 8)}
    symmetric = {"qzeros": ("I32", (2, 4), b"\x77" * 32)}
    seeds["sym"] = gptq(gptq_tensors(4, **symmetric), bits=4, group_size=16, sym=True)
    seeds["v2"] = gptq(gptq_tensors(3), bits=3, group_size=16, sym=False, checkpoint_format="gptq_v2")
    shuffled = struct.pack("<32i", *[c % 2 for c in range(32)])
    seeds["act_order"] = gptq(gptq_tensors(4, g_idx=("I32", (32,), shuffled)), bits=4, group_size=16, desc_act=True)
    seeds["bad_group"] = gptq(gptq_tensors(4, g_idx=("I32", (32,), b"\5" * 128)), bits=4)
    seeds["dynamic"] = gptq(gptq_tensors(8), bits=4, group_size=16)
    plain = gptq_tensors(4)
    del plain["g_idx"]
    seeds["no_g_idx"] = gptq(plain, bits=4, group_size=16)
    seeds["channel"] = gptq(gptq_tensors(4, 1), bits=4, group_size=-1)
    seeds["odd_groups"] = gptq(gptq_tensors(4, 7), bits=4, group_size=16)
    seeds["odd_bits"] = gptq(gptq_tensors(4, inputs=32), bits=5)
    seeds["short"] = gptq({**plain, "qweight": ("I32", (1, 32), None)}, bits=7)
    for key, value in {"bits": 1, "group_size": "x", "checkpoint_format": "marlin", "pack_dtype": "int64"}.items():
        seeds[f"bad_{key}"] = gptq(plain, **{"bits": 4, key: value})
    return {f"gptq_{name}": seed for name, seed in seeds.items()}


def awq_seeds():
    tensors = {"qweight": ("I32", (32, 2), None), "qzeros": ("I32", (2, 2), None), "scales": ("F16", (2, 16), None)}
    return {"awq": gptq(tensors, "awq", bits=4, group_size=16, version="gemm"),
            "awq_upper": gptq(tensors, "awq", bits=4, group_size=16, version="GEMM"),
            "awq_gemv": gptq(tensors, "awq", bits=4, version="gemv"),
            "awq_shape": gptq({**tensors, "scales": ("F16", (2, 15), None)}, "awq", bits=4),
            "awq_groups": gptq({**tensors, "scales": ("F16", (3, 16), None), "qzeros": ("I32", (3, 2), None)}, "awq")}


def float8_seeds():
    weight = {"weight": ("F8_E4M3", (8, 16), None)}
    blocks = {**weight, "weight_scale_inv": ("F32", (2, 4), None)}
    seeds = {
        "blocks": gptq(blocks, "fp8", weight_block_size=[4, 4]),
        "tensor": gptq({**weight, "weight_scale_inv": ("BF16", (), None)}, "fp8"),
        "rows": gptq({**weight, "weight_scale": ("F32", (8, 1), None)}, "fbgemm_fp8"),
        "static": gptq({**blocks, "activation_scale": ("F32", (1,), None)}, "fp8", weight_block_size=[4, 4],
                       activation_scheme="static"),
        "static_none": gptq(blocks, "fp8", weight_block_size=[4, 4], activation_scheme="static"),
        "static_two": gptq({**blocks, "input_scale": ("F32", (2,), None)}, "fp8", weight_block_size=[4, 4],
                           activation_scheme="static"),
        "no_blocks": gptq(blocks, "fp8"),
        "bad_blocks": gptq(blocks, "fp8", weight_block_size=[4]),
        "bad_scheme": gptq(blocks, "fp8", activation_scheme="x"),
        "nan": gptq({"weight": ("F8_E4M3", (2, 2), b"\x7f" * 4), "weight_scale": ("F32", (1,), None)}, "fp8"),
        "integer_scales": gptq({**weight, "weight_scale": ("I8", (8, 1), None)}, "fp8"),
    }
    return {f"fp8_{name}": seed for name, seed in seeds.items()}


NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]


def bitsandbytes_seeds():
    def seed(state=None, load=True, **more):
        state = {"quant_type": "nf4", "blocksize": 16, "shape": [4, 32], "nested_blocksize": 4, "nested_offset": 0.5,
                 **(state or {})}
        text = json.dumps(state).encode()
        tensors = {"weight": ("U8", (64, 1), None), "weight.absmax": ("F32", (8,), None),
                   "weight.quant_map": ("F32", (16,), struct.pack("<16f", *NF4)),
                   "weight.quant_state.bitsandbytes__nf4": ("U8", (len(text),), text), **more}
        return gptq(tensors, "bitsandbytes", load_in_4bit=load)

    nested = {"weight.absmax": ("U8", (8,), None), "weight.nested_absmax": ("F32", (2,), None),
              "weight.nested_quant_map": ("F32", (256,), None)}
    seeds = {"nf4": seed(), "nested": seed(**nested), "table": seed(**{"weight.quant_map": ("F32", (16,), None)}),
             "ragged": seed({"blocksize": 24}, **{"weight.absmax": ("F32", (6,), None)}),
             "eight_bits": seed(load=False), "wrong_scales": seed({"blocksize": 32}),
             "no_block": seed({"blocksize": 0}), "no_offset": seed({"nested_offset": "x"}, **nested),
             "no_shape": seed({"shape": [4]}), "large": seed({"shape": [1 << 31, 1 << 31]})}
    return {f"bitsandbytes_{name}": content for name, content in seeds.items()}


def import_seeds():
    return {**compressed_tensors_seeds(), **gptq_seeds(), **awq_seeds(), **float8_seeds(), **bitsandbytes_seeds()}
