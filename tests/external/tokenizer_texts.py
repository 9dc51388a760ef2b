"""Texts that tell tokenizers apart: lists of bytes, some of them not valid UTF-8."""

import random

PROSE = (
    "The quick brown fox jumps over the lazy dog. It was the best of times, it was the worst of "
    "times; they'd have known, wouldn't they? \"Never trust a calm sea,\" he said -- and didn't "
    "smile. In 1984, about 12,345 of 1,000,000 letters (3.14%) were lost: 007, 0x1F, 1e-5, 50%. "
    "Tokenizers cut words into pieces, and the pieces are numbered from zero to the end."
).split()

FRAGMENTS = [
    "  ", "\t", "\n", "\r\n", "\n\n\n", "   \n  ", "\u00a0", "\u3000", "\u2003", "\u200b", "\u180e",
    "\u0085", "\x1c", "\x00", "\u2028", "=\t=", " " * 33, "\n" * 9,
    "é", "e\u0301", "a\u0323\u0307", "a\u0307\u0323", "ﬁ", "Å", "\u212b", "가", "\u1100\u1161\u11a8",
    "\u0300", "İ", "ß", "ſ", "Σς", "\U00010400", "ñ",
    "汉字", "日本語テキスト", "مرحبا بالعالم", "שלום", "हिन्दी", "ไทย", "Привет", "αβγ",
    "🙂", "👨\u200d👩\u200d👧\u200d👦", "🇩🇪", "✌🏽", "\U0001f468\U0001f3fd", "\ufffd", "\ufeff", "\U000e0100",
    "½", "²", "١٢٣", "٣", "Ⅷ", "①", "12345", "3.14", "1,000,000", "0x1F", "2024-11-21",
    "'s", "'S", "'re", "'LL", "'ſ", "don't", "I'VE", "they'd",
    "__init__", "foo_bar(x, y) -> z;", "for (int i = 0; i < n; ++i) {", "    return x;\n}", "#include <x>",
    "</html>", '{"a": [1, 2]}', "\\n", "$$$", "...", "!!!", "—", "“q”", "a@b.org", "https://x.org/?q=1&r=2",
    "a" * 70, "ab" * 40,
    "<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "[INST]", "<0x41>", "▁", "▁▁",
    "tok_a", "TOK_B", " tok c ", "tok_c", "strip_l", "strip_r", "word_only", "xword_only", "word_onlyx",
    " word_only ", "Norm", "norm", "NORM", "ñorm",
]

INVALID = [
    b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf",
    b"\x80", b"\xe0\x80\x80", b"\xf8\x88\x80\x80\x80",
]


def fixed_texts():
    """Every fragment alone and between letters, every broken sequence at either end."""
    texts = [b"", b" ", " ".join(PROSE).encode()]
    for fragment in FRAGMENTS:
        texts += [fragment.encode(), ("x" + fragment + " y").encode()]
    for broken in INVALID:
        texts += [b"a" + broken, broken + broken + b"b"]
    return texts


def random_texts(seed, count, words=None):
    """Mixtures of words, fragments, broken bytes and random characters."""
    draw = random.Random(seed)
    words = words or PROSE
    texts = []
    for _ in range(count):
        text = b""
        for _ in range(draw.randint(1, 14)):
            kind = draw.random()
            if kind < 0.4:
                text += draw.choice(words).encode()
            elif kind < 0.8:
                text += draw.choice(FRAGMENTS).encode()
            elif kind < 0.85:
                text += draw.choice(INVALID)
            elif kind < 0.95:
                low, high = draw.choice([(0, 0x7F), (0x80, 0x17FF), (0x1800, 0xD7FF), (0xE000, 0xFFFF),
                                         (0x10000, 0x2FFFF)])
                text += chr(draw.randint(low, high)).encode()
            else:
                text += bytes(draw.randrange(256) for _ in range(draw.randint(1, 4)))
            if draw.random() < 0.5:
                text += b" "
        texts.append(text)
    return texts
