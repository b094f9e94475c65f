"""Write csrc/sb_classes_table.c: the class of every code point, as the split patterns of tokenizers tell them apart.

    pip install unicodedata2==16.0.0 && python csrc/tables/character_classes.py

The table has Unicode 16.0 because tiktoken's regular expressions have it. A Python's own `unicodedata` has whatever
was new when that Python was, so it is not asked. tests/core/test_bpe_against_tiktoken.py compares every code point
with tiktoken itself, and fails on the day tiktoken moves on.
"""

from __future__ import annotations

from pathlib import Path

import unicodedata2

UNICODE = "16.0.0"
BLOCK = 128  # code points; the size that makes both levels together smallest
# White_Space of PropList.txt, complete and stable since Unicode 6.3; unicodedata has no such property.
WHITE_SPACE = {
    *range(0x9, 0xE),
    0x20,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
}
# Numbered as sb_class in sb_classes.h.
BY_CATEGORY = {"Ll": 1, "Lu": 2, "Lt": 2, "Lm": 3, "Lo": 3, "Mn": 4, "Mc": 4, "Me": 4, "Nd": 5, "Nl": 5, "No": 5}
SPACE, NEWLINE = 6, 7


def class_of(code: int) -> int:
    if code in (0x0A, 0x0D):
        return NEWLINE
    if code in WHITE_SPACE:
        return SPACE
    return BY_CATEGORY.get(unicodedata2.category(chr(code)), 0)


def rows(values: list[int]) -> str:
    return "".join("    " + ", ".join(map(str, values[at : at + 32])) + ",\n" for at in range(0, len(values), 32))


def main() -> None:
    if unicodedata2.unidata_version != UNICODE:
        raise SystemExit(f"unicodedata2 has Unicode {unicodedata2.unidata_version}; this table is of {UNICODE}")
    blocks: dict[tuple[int, ...], int] = {}
    index = [
        blocks.setdefault(tuple(map(class_of, range(start, start + BLOCK))), len(blocks))
        for start in range(0, 0x110000, BLOCK)
    ]
    if len(blocks) > 255:
        raise SystemExit(f"{len(blocks)} different blocks do not fit a byte; make BLOCK larger")
    text = (
        f"/* Made by csrc/tables/character_classes.py from Unicode {UNICODE}; do not edit. */\n"
        '#include "sb_classes.h"\n\n'
        f"const uint8_t sb_class_blocks[{len(index)}] = {{\n{rows(index)}}};\n\n"
        f"const uint8_t sb_class_table[{len(blocks) * BLOCK}] = {{\n"
        f"{rows([value for block in blocks for value in block])}}};\n"
    )
    (Path(__file__).parent.parent / "sb_classes_table.c").write_text(text)


if __name__ == "__main__":
    main()
