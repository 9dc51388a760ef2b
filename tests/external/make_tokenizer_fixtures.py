#!/usr/bin/env python3
"""Makes tests/goldens/tokenizers: small tokenizers of every supported kind, trained with the
`tokenizers` package, and the ids that the package gives for a list of texts; for vocabularies of
GGUF files, the ids that llama.cpp gives. Cut-down copies become the seeds of the fuzz target.

    python3 tests/external/make_tokenizer_fixtures.py [TEXT_FILE ...]

Without files it trains on pieces of the embedded model's vocabulary.
Needs: pip install -r tests/external/requirements-fixtures.txt
"""

import json
import pathlib
import random
import sys
import tempfile

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from random_tokenizers import random_tokenizer
from tokenizer_texts import FRAGMENTS, fixed_texts, random_texts

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "goldens" / "tokenizers"
SEEDS = ROOT / "fuzz" / "corpus" / "tokenizer_json"
VOCABULARY = 700
GGUF_PRE = ["default", "gpt-2", "mpt", "starcoder", "refact", "smollm", "llama-bpe", "qwen2"]

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def training_lines(paths):
    """Lines of the files, or of pieces of words of the embedded model's vocabulary, frequent ones first."""
    if paths:
        lines = [line for path in paths for line in pathlib.Path(path).read_text(errors="replace").split("\n")]
    else:
        model = json.loads((ROOT / "assets/quill-llama-5m/tokenizer.json").read_text())["model"]
        pieces = sorted(model["vocab"], key=model["vocab"].get)[260:]
        pieces = [piece.replace("Ġ", " ") for piece in pieces if piece.replace("Ġ", "").isascii()]
        draw = random.Random(1)
        lines = ["".join(pieces[int(len(pieces) * draw.random() ** 3)] for _ in range(12)) for _ in range(4000)]
    return lines + [" ".join(FRAGMENTS)] * 20


def added(identifier, content, **flags):
    token = {"id": identifier, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
    return token | flags


def template(ids):
    def token(name):
        return {"SpecialToken": {"id": name, "type_id": 0}}
    text = [{"Sequence": {"id": "A", "type_id": 0}}]
    names = list(ids)
    single = [token(names[0])] + text + [token(name) for name in names[1:]]
    return {"type": "TemplateProcessing", "single": single,
            "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in ids.items()}}


def byte_level(lines, pre_tokenizer, normalizer=None, special=("<|endoftext|>",)):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(special), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines, trainer)
    return json.loads(tokenizer.to_str())


def split(expression):
    from tokenizers import Regex
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentence_piece(lines, fallback=True):
    """A vocabulary as SentencePiece writes it: unk, bos, eos, the bytes, then tokens by merge order."""
    lines = [line.replace("\0", "") for line in lines]  # llama.cpp takes NUL for the end of a token
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    # Cuts only for training, so that few tokens span words.
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", behavior="merged_with_next")
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - 256, limit_alphabet=150, show_progress=False,
                                  special_tokens=["<unk>", "<s>", "</s>"])
    tokenizer.train_from_iterator(lines, trainer)
    spec = json.loads(tokenizer.to_str())
    trained = sorted(spec["model"]["vocab"], key=spec["model"]["vocab"].get)
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)] if fallback else []
    names = trained[:3] + bytes_ + trained[3:]
    spec["model"]["vocab"] = {name: number for number, name in enumerate(names)}
    spec["model"] |= {"byte_fallback": fallback, "fuse_unk": fallback}
    spec["pre_tokenizer"] = None
    spec["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
        {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return spec


def as_strings(spec):
    spec["model"]["merges"] = [" ".join(pair) for pair in spec["model"]["merges"]]
    return spec


def make_all(lines):
    kinds = {}
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    kinds["gpt2"] = as_strings(byte_level(lines, plain))
    kinds["gpt2"]["post_processor"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                                       "use_regex": True}

    spec = byte_level(lines, pre_tokenizers.ByteLevel(add_prefix_space=True), normalizers.Lowercase())
    first = len(spec["model"]["vocab"])
    spec["added_tokens"] += [
        added(first, "tok_a", special=False), added(first + 1, "tok_b", special=False, normalized=True),
        added(first + 2, " tok c ", special=False), added(first + 3, "strip_l", special=False, lstrip=True),
        added(first + 4, "strip_r", special=False, rstrip=True),
        added(first + 5, "word_only", special=False, single_word=True),
        added(first + 6, "Norm", special=False, normalized=True),
        added(first + 7, "<|im_start|>", lstrip=True, rstrip=True), added(first + 8, "<|im_end|>")]
    kinds["added_tokens"] = spec

    spec = byte_level(lines, split(LLAMA3), special=())
    first = len(spec["model"]["vocab"])
    spec["model"]["ignore_merges"] = True
    spec["added_tokens"] = [added(first, "<|begin_of_text|>"), added(first + 1, "<|endoftext|>")]
    spec["post_processor"] = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        template({"<|begin_of_text|>": first})]}
    kinds["llama3"] = spec

    spec = byte_level(lines, split(QWEN2), normalizers.NFC(), special=())
    first = len(spec["model"]["vocab"])
    spec["added_tokens"] = [added(first + i, name) for i, name in
                            enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])]
    kinds["qwen2"] = as_strings(spec)

    kinds["smollm2"] = as_strings(byte_level(
        lines, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), plain]),
        special=("<|endoftext|>", "<|im_start|>", "<|im_end|>")))

    spec = sentence_piece(lines)
    spec["post_processor"] = template({"<s>": 1})
    kinds["llama2"] = spec

    spec = sentence_piece(lines)
    spec["normalizer"] = None
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    spec["post_processor"] = template({"<s>": 1, "</s>": 2})
    spec["added_tokens"].append(added(VOCABULARY, "[INST]"))
    kinds["mistral"] = as_strings(spec)

    spec = sentence_piece(lines, fallback=False)
    spec["normalizer"] = None
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    spec["decoder"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    kinds["metaspace"] = spec
    return kinds


def expected(tokenizer, texts, parse_special):
    tokenizer.encode_special_tokens = not parse_special
    return [tokenizer.encode(text.decode("utf-8", "replace"), add_special_tokens=False).ids for text in texts]


def shrunk(spec, merges=12):
    """The same parts around the first few merges and their characters."""
    spec = json.loads(json.dumps(spec))
    model = spec["model"]
    model["merges"] = model["merges"][:merges]
    kept = {token["content"] for token in spec["added_tokens"] if token["content"] in model["vocab"]}
    kept |= {"<0xC3>", "<0xA9>", "<0xE6>", "Ġ", "▁"} & set(model["vocab"])
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        kept |= {left, right, left + right} | set(left + right)
    outside = [token["content"] for token in spec["added_tokens"] if token["content"] not in model["vocab"]]
    names = sorted(kept, key=model["vocab"].get) + outside
    numbers = {name: number for number, name in enumerate(names)}
    model["vocab"] = {name: numbers[name] for name in names if name in kept}
    for token in spec["added_tokens"]:
        token["id"] = numbers[token["content"]]
    for part in [spec["post_processor"]] + (spec["post_processor"] or {}).get("processors", []):
        for name, token in (part or {}).get("special_tokens", {}).items():
            token["ids"] = [numbers[name]]
    return spec


def gguf_vocabulary(spec, pre):
    """The tokens of a tokenizer.json as a GGUF file holds them: (model, tokens, types, merges, scores)."""
    sentence_piece = pre.startswith("llama ")
    names = sorted(spec["model"]["vocab"], key=spec["model"]["vocab"].get)
    types = [1] * len(names)
    for token in spec["added_tokens"]:
        types[token["id"]] = 2 if token["content"] == spec["model"]["unk_token"] else 3
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in spec["model"]["merges"]]
    # As SentencePiece gives them: the later a token was made, the lower.
    scores = [0.0 if number < 259 else float(259 - number) for number in range(len(names))]
    if sentence_piece:
        types[3:259] = [6] * 256
    return names, types, None if sentence_piece else merges, scores if sentence_piece else None


def llama_cpp_ids(spec, pre, texts):
    import gguf
    import llama_cpp
    tokens, types, merges, scores = gguf_vocabulary(spec, pre)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/vocabulary.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_context_length(64)
        writer.add_embedding_length(64)
        writer.add_block_count(1)
        writer.add_feed_forward_length(64)
        writer.add_head_count(4)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(16)
        writer.add_vocab_size(len(tokens))
        writer.add_tokenizer_model("llama" if scores else "gpt2")
        writer.add_tokenizer_pre("default" if scores else pre)
        writer.add_token_list(tokens)
        writer.add_token_types(types)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        if scores:
            writer.add_token_scores(scores)
            writer.add_add_space_prefix(pre == "llama with prefix")
        else:
            writer.add_token_merges(merges)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
        ids = [model.tokenize(text.decode("utf-8", "replace").encode(), add_bos=False, special=False)
               if text else [] for text in texts]
        model.close()
    return ids


def main():
    texts = fixed_texts() + random_texts(1, 80)
    OUT.mkdir(parents=True, exist_ok=True)
    # Bytes as the characters U+0000 ... U+00FF, because JSON cannot hold invalid UTF-8.
    (OUT / "texts.json").write_text(json.dumps([text.decode("latin-1") for text in texts], indent=0) + "\n")
    kinds = make_all(training_lines(sys.argv[1:]))
    golden = {pre: llama_cpp_ids(kinds["gpt2"], pre, texts) for pre in GGUF_PRE}
    for kind in ("llama with prefix", "llama without prefix"):
        golden[kind] = llama_cpp_ids(kinds["llama2"], kind, texts)
    (OUT / "gguf.golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    SEEDS.mkdir(parents=True, exist_ok=True)
    seeds = {name: shrunk(spec) for name, spec in kinds.items()}
    seeds |= {f"random_{number}": random_tokenizer(list(seeds.values()), number) for number in range(16)}
    for name, spec in seeds.items():
        (SEEDS / f"{name}.json").write_text(json.dumps(spec, ensure_ascii=False) + "\n")
    for name, spec in kinds.items():
        text = json.dumps(spec, ensure_ascii=False, separators=(",", ":"))
        (OUT / f"{name}.tokenizer.json").write_text(text + "\n")
        tokenizer = Tokenizer.from_str(text)
        plain = expected(tokenizer, texts, False)
        parsed = expected(tokenizer, texts, True)
        tokenizer.encode_special_tokens = False
        golden = {
            "with_special_added": tokenizer.encode("one text", add_special_tokens=True).ids,
            "ids": plain,
            "ids_parsed": {i: b for i, (a, b) in enumerate(zip(plain, parsed)) if a != b},
            "decoded": [tokenizer.decode(ids, skip_special_tokens=False) for ids in parsed[::2]],
            "decoded_without_special": [tokenizer.decode(ids) for ids in parsed[::5]],
        }
        (OUT / f"{name}.golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
        print(f"{name}: {len(spec['model']['vocab'])} tokens, {len(spec['model']['merges'])} merges")


if __name__ == "__main__":
    main()
