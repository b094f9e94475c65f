"""The split patterns that byte-pair encoders of the tiktoken kind cut texts with, before they merge.

Each is the expression as its owner published it. csrc/sb_split.c matches them by hand; the reference and the tests
take them from here. Numbered as `sb_pattern` in csrc/sb_split.h, by their order.
"""

from __future__ import annotations

from types import MappingProxyType

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS_TO_SPACES = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"

PATTERNS = MappingProxyType(
    {
        # tiktoken: r50k_base, p50k_base and gpt2.
        "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
        # tiktoken: cl100k_base. Not quite Llama 3's: white space that ends a text is one piece, newlines or not.
        "cl100k": (
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
            r"|\s+(?!\S)|\s"
        ),
        # Llama 3, from Meta's tokenizer.py.
        "llama3": f"{_CONTRACTIONS}|{_WORDS_TO_SPACES.replace('DIGITS', '{1,3}')}",
        # Qwen, Qwen2, Qwen2.5 and Qwen3: one digit at a time.
        "qwen2": f"{_CONTRACTIONS}|{_WORDS_TO_SPACES.replace('DIGITS', '')}",
        # tiktoken: o200k_base and o200k_harmony; Llama 4 has the same.
        "o200k": "|".join(
            [
                rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}?",
                rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}?",
                r"\p{N}{1,3}",
                r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                r"\s*[\r\n]+",
                r"\s+(?!\S)",
                r"\s+",
            ]
        ),
    }
)


def pattern_number(name: str) -> int:
    """Number of a pattern for the kernel. Raises ValueError for a name that is not in PATTERNS."""
    if name not in PATTERNS:
        raise ValueError(f"unknown split pattern {name!r}; expected one of {', '.join(PATTERNS)}")
    return list(PATTERNS).index(name)
