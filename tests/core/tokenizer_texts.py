"""Texts that tokenizers disagree about, and a vocabulary small enough to train while a test session starts."""

from __future__ import annotations

import os
import random
from collections import Counter
from functools import cache

from signalbox.core import reference

# Where split patterns and Unicode tables go wrong, and what is common in requests.
PIECES = (
    *("a", "b", "A", "B", "s", "S", "word", "Word", "HTTPServer", "camelCase", "0", "1", "42", "1234567", "3.14"),
    *(
        " ",
        "  ",
        "    ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        " \n",
        "\n ",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x1f",
        "\x00",
        "\x7f",
    ),
    *("'", "'s", "'S", "'\u017f", "'t", "'re", "'RE", "'Ve", "'m", "'ll", "'lL", "'d", "'x", "\u2019s", "'\u212a"),
    *("!", "?!", "...", "/", "//", "/*", "\\", '"', "{", "}", "();", "=>", "_", "-", "--", "<|endoftext|>", "#", "$x$"),
    *("\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u3000", "\u200b", "\ufeff", "\u180e"),
    *(
        "\u0301",
        "e\u0301",
        "\u0300\u0323",
        "\u20dd",
        "\u0903",
        "\u093e",
        "\u0e33",
        "\u1160",
        "\ufe0f",
        "\u200d",
        "\u202e",
    ),
    *("é", "Å", "ß", "ſ", "\u212a", "\u01c5", "\u02b0", "ª", "ı", "İ", "ﬁ", "Σς", "Ω", "Привет", "мир", "Ё"),
    *(
        "日本語",
        "你好",
        "の",
        "カ",
        "ｶ",
        "한국어",
        "ᄀ",
        "สวัสดี",
        "ကို",
        "नमस्ते",
        "தமிழ்",
        "مرحبا",
        "שלום",
        "ֹ",
        "ა",
        "Ა",
        "Ⴀ",
    ),
    *(
        "²",
        "½",
        "Ⅷ",
        "٣",
        "৪",
        "㊀",
        "𝟘",
        "𝒜",
        "𐐀",
        "𐐨",
        "😀",
        "👩‍👩‍👧",
        "🇩🇪",
        "👍🏽",
        "1️⃣",
        "∑",
        "≠",
        "€",
        "。",
        "「",
        "·",
    ),
    *("\u1c89", "\u1c8a", "\U00010d40", "\U00010d50", "\U00010d70", "\ua7cb", "\u0897"),  # new in Unicode 16
    *(
        "\U00010940",
        "\U00016ea0",
        "\u20c1",
        "\ua7d2",
        "\u0378",
        "\U0010ffff",
        "\ue000",
        "\ufffd",
        "\uffff",
    ),  # or 17, or never
)
TEXTS = int(os.environ.get("SIGNALBOX_FUZZED_TEXTS", "2000"))
"""How many fuzzed texts each comparison with a library has; docs/development.md asks for a million."""
ALL_CODES = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]


def fuzzed_text(dice: random.Random) -> str:
    """Up to 30 pieces, most from PIECES, some any code point at all; now and then one of them many times."""
    out = []
    for _ in range(dice.randrange(1, 30)):
        piece = dice.choice(PIECES) if dice.random() < 0.9 else chr(dice.choice(ALL_CODES))
        out.append(piece * (dice.randrange(2, 80) if dice.random() < 0.03 else 1))
    return "".join(out)


@cache
def small_ranks() -> dict[bytes, int]:
    """Single bytes and 300 merges, learned from fuzzed texts and repeated words. Always the same."""
    dice = random.Random(7)
    texts = [fuzzed_text(dice) for _ in range(400)] + ["the quick brown fox; don't WORRY about 2048 tokens\n" * 3] * 4
    ranks = {bytes([byte]): byte for byte in range(256)}
    split = reference.Bpe(ranks, pattern="o200k").split
    words = Counter(piece for text in texts for piece in split(text.encode()))
    parts = {word: [bytes([byte]) for byte in word] for word in words}
    while len(ranks) < 556:
        pairs: Counter[bytes] = Counter()
        for word, count in words.items():
            for left, right in zip(parts[word], parts[word][1:], strict=False):
                pairs[left + right] += count
        best = min((pair for pair in pairs if pair not in ranks), key=lambda pair: (-pairs[pair], pair))
        ranks[best] = len(ranks)
        for word, split_word in parts.items():
            if best in word:
                at = 0
                while at + 1 < len(split_word):
                    if split_word[at] + split_word[at + 1] == best:
                        split_word[at : at + 2] = [best]
                    at += 1
    return ranks
