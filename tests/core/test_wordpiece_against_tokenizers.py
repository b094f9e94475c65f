"""The kernel against `tokenizers`: every code point, fuzzed texts, and BERT's own vocabulary."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from itertools import accumulate, chain, islice
from types import ModuleType
from typing import Any

import pytest

from signalbox.core import wordpiece_of
from tests.core.tokenizer_texts import ALL_CODES, TEXTS, fuzzed_text
from tests.core.word_vocabulary import LONG, SPECIALS, as_text, small_tokens, tokenizer_json
from tests.published import bert_file
from tests.unit.tokens.texts import TEXTS as SCRIPTS_AND_CODE
from tests.unit.tokens.texts import mixtures

tokenizers: ModuleType = pytest.importorskip("tokenizers", reason="needs the package tokenizers: pip install '.[test]'")

BATCH = 5000  # texts that are there at once
MODES: dict[str, dict[str, Any]] = {
    "uncased": {},
    "cased": {"lowercase": False},
    "lower, with accents": {"strip_accents": False},
    "cased, without accents": {"lowercase": False, "strip_accents": True},
    "chinese together": {"handle_chinese_chars": False},
    "short words": {"max_input_chars_per_word": 7},
}
# Characters that combine and stay, some Mn to one Unicode and not to another, and what decomposing puts among them.
COMBINING = "\U0001e000\U0001e008\u302e\u302f\U0001d165\U0001d16d\U0001d16e\u0301\u0323\u0345\u034f\U000110ba\u0cd5"
EXTRA = (
    *SPECIALS,
    "[MASK",
    LONG,
    "b" * 100,
    "é" * 101,
    "\U0001d160",
    "\u0344",
    "\u0f76",
    "\u0c48",
    "힣각",
    "İI",
    "ıi",
    "ﬁﬂ",
    "Ǆǅ",
    "ẞß",
    "≠",
    "\u1fef",
    "\ufa0e\U0002f81a",
    "internationalization",
    "##ing",
)


def differing(data: dict[str, Any], texts: Iterable[str]) -> list[str]:
    """Texts whose ids, or their number, are not those of the library."""
    library = tokenizers.Tokenizer.from_str(as_text(data))
    library.no_truncation()
    library.no_padding()
    mine = wordpiece_of(data)
    assert mine is not None
    found, rest = [], iter(texts)
    while batch := list(islice(rest, BATCH)):
        theirs = library.encode_batch(batch, add_special_tokens=False)
        for text, encoding in zip(batch, theirs, strict=True):
            raw = text.encode()
            if mine.encode(raw).tolist() != encoding.ids or mine.count(raw) != len(encoding.ids):
                found.append(text)
    return found


def hard_text(dice: random.Random) -> str:
    out = []
    for _ in range(dice.randrange(1, 6)):
        kind = dice.random()
        if kind < 0.3:
            out.append(dice.choice(EXTRA))
        elif kind < 0.5:
            out.append("a" + "".join(dice.choices(COMBINING, k=dice.randrange(1, 6))))
        elif kind < 0.6:
            out.append(dice.choice("xyz ") * dice.randrange(90, 110))
        else:
            out.append(fuzzed_text(dice)[:80])
    return "".join(out)


@pytest.fixture(scope="module")
def trained() -> dict[bytes, int]:
    """A vocabulary that `tokenizers` learned from fuzzed texts."""
    dice = random.Random(5)
    model = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    model.normalizer = tokenizers.normalizers.BertNormalizer()
    model.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=3000, special_tokens=list(SPECIALS), limit_alphabet=400, show_progress=False
    )
    model.train_from_iterator([hard_text(dice) for _ in range(3000)], trainer)
    return {token.encode(): number for token, number in model.get_vocab().items()}


@pytest.mark.parametrize("mode", MODES)
def test_fuzzed_texts_have_the_ids_that_tokenizers_gives(trained: dict[bytes, int], mode: str) -> None:
    dice = random.Random(6)
    assert differing(tokenizer_json(trained, **MODES[mode]), (hard_text(dice) for _ in range(TEXTS))) == []
    assert differing(tokenizer_json(small_tokens(), **MODES[mode]), (hard_text(dice) for _ in range(TEXTS))) == []


@pytest.mark.parametrize("mode", ["uncased", "lower, with accents", "cased, without accents"])
def test_every_code_point_is_read_as_tokenizers_reads_it(mode: str) -> None:
    """Each by itself, within a word, and among characters that combine: with every code point a token, ids show it."""
    frames = ("{0} ", "a{0}b ", "\u0301{0}\u0323\u302ex ")
    assigned = [code for code in ALL_CODES if code < 0x33500 or (code > 0xE0000 and code % 64 == 0)]
    for start in range(0, len(assigned), 65536):
        codes = assigned[start : start + 65536]
        tokens = [*SPECIALS, *(f"{prefix}{chr(code)}" for code in codes for prefix in ("", "##"))]
        tokens += [f"{prefix}{letter}" for letter in "abx\u0301\u0323\u302e" for prefix in ("", "##")]
        vocabulary = {token.encode(): number for number, token in enumerate(dict.fromkeys(tokens))}
        texts = [
            "".join(frame.format(chr(code)) for code in codes[at : at + 256])
            for at in range(0, len(codes), 256)
            for frame in frames
        ]
        assert differing(tokenizer_json(vocabulary, **MODES[mode]), texts) == [], f"from U+{codes[0]:04X}"


def test_bytes_that_are_not_utf8_count_as_their_replacement_does(trained: dict[bytes, int]) -> None:
    dice, data = random.Random(8), tokenizer_json(trained)
    library, mine = tokenizers.Tokenizer.from_str(as_text(data)), wordpiece_of(data)
    library.no_truncation()
    assert mine is not None
    for _ in range(TEXTS):
        raw = bytes(
            dice.choice(b"\xe2\xf0\x80\xc3\xff\xed\xa0") if dice.random() < 0.1 else byte
            for byte in hard_text(dice).encode()
        )
        expected = library.encode(raw.decode(errors="replace"), add_special_tokens=False).ids
        assert mine.encode(raw).tolist() == expected, raw


def test_ends_are_the_offsets_that_tokenizers_gives_where_nothing_changes_places(trained: dict[bytes, int]) -> None:
    dice, data = random.Random(9), tokenizer_json(trained)
    library, mine = tokenizers.Tokenizer.from_str(as_text(data)), wordpiece_of(data)
    library.no_truncation()
    assert mine is not None
    texts = [text for text in (hard_text(dice) for _ in range(TEXTS)) if not set(text) & set(COMBINING)]
    assert len(texts) > TEXTS / 5
    for text in texts:
        offsets = library.encode(text, add_special_tokens=False).offsets
        expected = list(accumulate((len(text[:end].encode()) for _, end in offsets), max))
        assert mine.ends(text.encode()).tolist() == expected, text


def test_texts_have_the_ids_of_berts_own_tokenizer() -> None:
    """That of all-MiniLM-L6-v2, as it was published."""
    data, dice = json.loads(bert_file().read_text()), random.Random(10)
    texts = chain(SCRIPTS_AND_CODE.values(), mixtures(300), (hard_text(dice) for _ in range(TEXTS)))
    assert differing(data, texts) == []
