"""`scant tokenize` gives the ids, and `--decode` the texts, of the `tokenizers` package.

Usage: check_tokenizers.py SCANT [INPUTS_PER_TOKENIZER]

The tokenizers are the embedded model's and the fixtures of tests/goldens/tokenizers; every one gets its own inputs of
several lines: scripts, emoji, code, runs of white space, broken UTF-8 and lines of real text (of ../shared/data
where it is present, else of assets/text). What is not valid UTF-8 reaches the package as U+FFFD, which is what scant
promises (docs/guide/tokenizers.md).
"""

import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import Tokenizer

from tokenizer_texts import FRAGMENTS, INVALID, random_texts

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES = (1, 1, 4, 8, 12, 16)  # lines of one input
# Blocks without a character that Unicode added after version 14 (docs/guide/tokenizers.md, limits).
BLOCKS = [(0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x531, 0x58A), (0x5D0, 0x5F4),
          (0x620, 0x6FF), (0x904, 0x97F), (0x985, 0x9FB), (0xB85, 0xBFA), (0xE01, 0xE5B), (0xF00, 0xFDA),
          (0x1000, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137C), (0x13A0, 0x13FD), (0x1780, 0x17F9), (0x1820, 0x1878),
          (0x2010, 0x2044), (0x2070, 0x20BF), (0x2150, 0x218B), (0x2200, 0x22FF), (0x2460, 0x24FF), (0x3041, 0x30FF),
          (0x4E00, 0x9FFC), (0xAC00, 0xD7A3), (0xFB00, 0xFB06), (0xFF01, 0xFF9F), (0x10400, 0x1044F),
          (0x1D400, 0x1D7FF), (0x1F600, 0x1F64F), (0x1F900, 0x1F9FF), (0x20000, 0x20100)]
EMOJI = ["👨‍👩‍👧‍👦", "👩🏽‍🚀", "🏳️‍🌈", "❤️‍🔥", "👁️‍🗨️", "🇩🇪🇫🇷🇯🇵", "🇺", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣#️⃣", "☎︎", "✌🏿", "🧑🏻‍🤝‍🧑🏾"]
CODE = [
    "def f(x: int = 0) -> list[int]:", "\treturn [i ** 2 for i in range(x) if i % 3 == 1]  # squares",
    "template <typename T, size_t N>", "    static_assert(sizeof(T[N]) <= 1u << 20);", 'std::string s = R"(a\\n"b")";',
    "SELECT name, COUNT(*) FROM t WHERE id >= 10 GROUP BY name;", "<div class=\"a b\"><!-- x --></div>",
    "$ grep -rn 'TODO' src/ | awk '{print $1}' > /tmp/out.txt", "{\"k\": [1, 2.5e-3, null, true, \"\\u00e9\"]}",
    "x = y?.z ?? (a !== b ? `${c}` : '')", "\\frac{\\partial L}{\\partial w} \\approx 10^{-3}", "    \t    \tpass",
]
WHITE = [" ", "  ", "    ", "\t", "\t\t", " \t ", "\u00a0", "\u2009", "\u3000", "\u2028", "\r", "\v", "\f", "\u0085"]


def prose():
    folder = ROOT.parent / "shared" / "data"
    files = sorted(folder.glob("*.txt")) + sorted(folder.glob("*.raw"))
    files = files or sorted((ROOT / "assets" / "text").glob("*.txt"))
    lines = [line for file in files for line in file.read_bytes().split(b"\n") if line.strip()]
    return lines, ", ".join(file.name for file in files)


def in_script(draw):
    low, high = draw.choice(BLOCKS)
    words = []
    for _ in range(draw.randint(1, 8)):
        characters = [chr(draw.randint(low, high)) for _ in range(draw.randint(1, 9))]
        words.append("".join(c for c in characters if unicodedata.category(c) != "Cn"))
    return " ".join(words).encode()


def white_space(draw):
    runs = [draw.choice(WHITE) * draw.randint(1, 6) + draw.choice(["", "a", "1", ".", "é"]) for _ in range(5)]
    return "".join(runs).encode()


def broken(draw, line):
    """A line with bytes cut out, changed or put in."""
    for _ in range(draw.randint(1, 3)):
        at = draw.randint(0, len(line))
        line = draw.choice([line[:at] + draw.choice(INVALID) + line[at:], line[:at] + line[at + 1:],
                            line[:at] + bytes([draw.randrange(256)]) + line[at + 1:]])
    return line


def make_line(draw, real):
    kind = draw.random()
    if kind < 0.3:
        line = draw.choice(real)[:400]
    elif kind < 0.5:
        line = in_script(draw)
    elif kind < 0.6:
        line = " ".join(draw.choice(EMOJI + FRAGMENTS) for _ in range(6)).encode()
    elif kind < 0.7:
        line = draw.choice(CODE).encode()
    elif kind < 0.8:
        line = white_space(draw)
    else:
        line = random_texts(draw.random(), 1)[0]
    return broken(draw, line) if draw.random() < 0.15 else line


def make_input(draw, real):
    lines = [make_line(draw, real) for _ in range(draw.choice(LINES))]
    return draw.choice([b"\n", b"\n", b"\n", b"\r\n", b"\n\n"]).join(lines) + draw.choice([b"", b"\n"])


def run(*command):
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Check:
    """One tokenizer: the differences between the program and the package."""

    def __init__(self, scant, name, folder, inputs):
        self.scant, self.name, self.folder, self.inputs = scant, name, folder, inputs
        self.plain = Tokenizer.from_file(f"{folder}/tokenizer.json")
        self.plain.encode_special_tokens = True
        self.parsed = Tokenizer.from_file(f"{folder}/tokenizer.json")
        self.undecodable = set(filter(self.decodes_as_written, self.parsed.get_added_tokens_decoder()))

    def decodes_as_written(self, token):
        """Whether the package decodes a token as it is written, although the text is normalized before it is sought.

        Older versions do (0.20), newer ones (0.23) give the normalized spelling, and scant does as they do.
        """
        added = self.parsed.get_added_tokens_decoder()[token]
        if not added.normalized or self.parsed.normalizer is None:
            return False
        changed = self.parsed.normalizer.normalize_str(added.content) != added.content
        return changed and self.parsed.decode([token], skip_special_tokens=False) == added.content

    def compare(self, number):
        """The ids of one input, of every third with special tokens parsed and added; of those the text again."""
        data = self.inputs[number]
        path = f"{self.folder}/{number}.txt"
        pathlib.Path(path).write_bytes(data)
        special = number % 3 == 0
        flags = ["--parse-special", "--add-special"] if special else []
        reference = self.parsed if special else self.plain
        expected = reference.encode(data.decode("utf-8", "replace"), add_special_tokens=special).ids
        ids = json.loads(run(self.scant, "tokenize", self.folder, "--text", path, *flags))
        if ids != expected:
            at = next((i for i, (a, b) in enumerate(zip(ids, expected)) if a != b), min(len(ids), len(expected)))
            return (f"{self.name}, input {number} {flags}: ids differ from number {at} on: {ids[at:at + 8]}, expected "
                    f"{expected[at:at + 8]}, behind {reference.decode(expected[:at], skip_special_tokens=False)[-40:]!r}"
                    ), len(expected)
        if special:
            ids = [token for token in ids if token not in self.undecodable]
            pathlib.Path(path).write_text(json.dumps(ids))
            text = run(self.scant, "tokenize", self.folder, "--decode", "--text", path)
            wanted = reference.decode(ids, skip_special_tokens=False).encode() + b"\n"
            if text != wanted:
                return f"{self.name}, input {number}: decodes to {text[-80:]!r}, expected {wanted[-80:]!r}", len(ids)
        return None, len(expected)


def main():
    scant = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    real, source = prose()
    fixtures = sorted((ROOT / "tests/goldens/tokenizers").glob("*.tokenizer.json"))
    models = {"quill-llama-5m": ROOT / "assets/quill-llama-5m/tokenizer.json"}
    models |= {path.name.removesuffix(".tokenizer.json"): path for path in fixtures}
    print(f"lines of real text from {source}")
    failures = total = 0
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for seed, (name, path) in enumerate(models.items()):
            folder = f"{scratch}/{name}"
            os.mkdir(folder)
            shutil.copy(path, f"{folder}/tokenizer.json")
            draw = random.Random(seed)
            inputs = [make_input(draw, real) for _ in range(count)]
            results = list(pool.map(Check(scant, name, folder, inputs).compare, range(count)))
            wrong = [message for message, _ in results if message]
            lines = sum(len(data.splitlines()) for data in inputs)
            print(f"{'FAIL' if wrong else 'ok  '} {name}: {count} inputs, {lines} lines, {sum(n for _, n in results)} ids, "
                  f"{len(wrong)} inputs differ")
            for message in wrong[:5]:
                print(f"     {message}")
            failures += len(wrong)
            total += lines
    print(f"{total} lines, {failures} inputs differ")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
