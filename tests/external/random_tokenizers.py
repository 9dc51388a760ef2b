"""Random combinations of the supported parts of a tokenizer.json, around trained vocabularies."""

import json
import random

REGEXES = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", r"\s+", r"\p{N}{1,3}",
    r"\w+|[^\w\s]+", r"\b", r"[\r\n]+", r"(?i:abc|the)", r"(?i)THE|fox", r"\d", r"[^\s\p{L}]++", r"(?<=a)b", r"x*",
    r"\s{,2}\S", r"[\p{P}\$\+<=>\^~\|]+", r"^.", r".$", r"\h+", r"\p{Lu}?\p{Ll}+", r"{a}", r"\x41|\u0042|\x{1F642}",
    r"[一-龥]+|[぀-ヿ]", r"(?>a+)b|\p{Han}", r"\W", r"[^\r\n\p{L}\p{N}]?+\p{L}+", r"\S+?", r"\A\S|\S\z", r"\p{^L}",
]
STRINGS = [" ", "▁", "a", "the", ".", "\n", "é", "'"]
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def pattern(draw):
    if draw.random() < 0.5:
        return {"Regex": draw.choice(REGEXES)}
    return {"String": draw.choice(STRINGS)}


def normalizer(draw, depth=0):
    kind = draw.choice(["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Replace", "Prepend", "Sequence"])
    if kind == "Sequence" and depth < 2:
        return {"type": kind, "normalizers": [normalizer(draw, depth + 1) for _ in range(draw.randint(0, 3))]}
    if kind == "Replace":
        return {"type": kind, "pattern": pattern(draw), "content": draw.choice(["", "▁", " ", "zz", "é"])}
    if kind in ("Prepend", "Sequence"):
        return {"type": "Prepend", "prepend": draw.choice(["▁", " ", "ab"])}
    return {"type": kind}


def metaspace(draw, with_split=True):
    part = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": draw.choice(["always", "first", "never"])}
    return part | ({"split": draw.random() < 0.5} if with_split else {})


def byte_level(draw):
    return {"type": "ByteLevel", "add_prefix_space": draw.random() < 0.5, "trim_offsets": True,
            "use_regex": draw.random() < 0.5}


def pre_tokenizer(draw, depth=0):
    kind = draw.choice(["ByteLevel", "Split", "Split", "Digits", "Metaspace", "Sequence", "Sequence"])
    if kind == "Sequence" and depth < 2:
        return {"type": kind, "pretokenizers": [pre_tokenizer(draw, depth + 1) for _ in range(draw.randint(0, 3))]}
    if kind in ("Split", "Sequence"):
        return {"type": "Split", "pattern": pattern(draw), "behavior": draw.choice(BEHAVIORS),
                "invert": draw.random() < 0.3}
    if kind == "Digits":
        return {"type": kind, "individual_digits": draw.random() < 0.5}
    return byte_level(draw) if kind == "ByteLevel" else metaspace(draw)


def decoder(draw, depth=0):
    kind = draw.choice(["ByteLevel", "Metaspace", "ByteFallback", "Fuse", "Strip", "Replace", "Sequence", "Sequence"])
    if kind == "Sequence" and depth < 2:
        return {"type": kind, "decoders": [decoder(draw, depth + 1) for _ in range(draw.randint(0, 4))]}
    if kind == "ByteLevel":
        return byte_level(draw)
    if kind == "Metaspace":
        return metaspace(draw, with_split=False)
    if kind == "Strip":
        return {"type": kind, "content": draw.choice([" ", "a", "Ġ"]), "start": draw.randint(0, 2), "stop": 0}
    if kind in ("Replace", "Sequence"):
        return {"type": "Replace", "pattern": pattern(draw), "content": draw.choice(["", " ", "zz"])}
    return {"type": kind}


def added_tokens(draw, first):
    contents = draw.sample(["tok_a", "tok_b", " tok c ", "strip_l", "strip_r", "word_only", "Norm", "<|im_start|>",
                            "<|im_end|>", "[INST]", "the", " ", "é", "12"], draw.randint(0, 8))
    # No lstrip together with a normalized spelling: what it takes along then depends on the normalizer.
    return [{"id": first + i, "content": content, "single_word": draw.random() < 0.3,
             "lstrip": draw.random() < 0.3, "rstrip": draw.random() < 0.3, "normalized": draw.random() < 0.4,
             "special": draw.random() < 0.4} for i, content in enumerate(contents)]


def random_tokenizer(bases, seed):
    """A changed copy of one of `bases` (parsed tokenizer.json files)."""
    draw = random.Random(seed)
    spec = json.loads(json.dumps(draw.choice(bases)))
    if draw.random() < 0.6:
        spec["normalizer"] = normalizer(draw) if draw.random() < 0.8 else None
    if draw.random() < 0.7:
        spec["pre_tokenizer"] = pre_tokenizer(draw) if draw.random() < 0.9 else None
    if draw.random() < 0.6:
        spec["decoder"] = decoder(draw) if draw.random() < 0.9 else None
    model = spec["model"]
    if draw.random() < 0.5:
        model["ignore_merges"] = draw.random() < 0.5
        model["fuse_unk"] = draw.random() < 0.5
        model["byte_fallback"] = draw.random() < 0.5
        model["unk_token"] = draw.choice([None, "<unk>" if "<unk>" in model["vocab"] else None])
    if draw.random() < 0.5:
        known = {token["content"] for token in spec["added_tokens"]}
        tokens = [t for t in added_tokens(draw, 0) if t["content"] not in known]
        outside = [t for t in spec["added_tokens"] if t["content"] not in model["vocab"]]
        following = len(model["vocab"]) + len(outside)
        for token in tokens:
            if token["content"] in model["vocab"]:
                token["id"] = model["vocab"][token["content"]]
            else:
                token["id"] = following
                following += 1
        spec["added_tokens"] += tokens
    return spec
