"""WordPiece: the kernel against its reference, and what holds of both."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from signalbox import core
from signalbox.core import WordPiece, reference
from tests.core.tokenizer_texts import PIECES, fuzzed_text
from tests.core.word_vocabulary import LONG, SPECIALS, small_tokens, specials, tokenizer_json

# Where Python's Unicode says the same as that of `tokenizers`: scripts without marks from after 2015.
OLD = [
    *(range(0x610), range(0x900, 0x980), range(0xE01, 0xE80), range(0xF00, 0xFDB), range(0x10A0, 0x1380)),
    *(range(0x1E00, 0x2E43), range(0x3000, 0x3100), range(0x4E00, 0x4F00), range(0xAC00, 0xAD00)),
    *(range(0xE000, 0xE010), range(0xF900, 0xFB50), range(0xFE00, 0xFE10), range(0xFFFD, 0xFFFE)),
    *(range(0x1D15E, 0x1D170), range(0x1F600, 0x1F640), range(0x2F800, 0x2F820), range(0x2B810, 0x2B930)),
]
CHARACTERS = [chr(code) for block in OLD for code in block]
KNOWN = set(CHARACTERS)
KNOWN_PIECES = [piece for piece in PIECES if set(piece) <= KNOWN]
pieces = st.sampled_from([*KNOWN_PIECES, *SPECIALS, "[MASK", LONG, "a" * 101]) | st.text(
    st.sampled_from(CHARACTERS), max_size=4
)
texts = st.lists(pieces, max_size=20).map("".join)
options = st.fixed_dictionaries(
    {
        "lowercase": st.booleans(),
        "strip_accents": st.sampled_from([None, True, False]),
        "handle_chinese_chars": st.booleans(),
        "max_input_chars_per_word": st.sampled_from([1, 5, 100, 256]),
    }
)


def small(twin: ModuleType, **chosen: Any) -> Any:
    return twin.WordPiece(small_tokens(), specials=specials(), **chosen)


def spelled(encoder: Any, text: str) -> list[str]:
    names = {number: token.decode() for token, number in small_tokens().items()}
    return [names[number] for number in encoder.encode(text.encode())]


@given(text=texts, chosen=options)
@example(text="a\U0001d16d\u0301\u302e\U0001d165 \u0344\u034f\u302e", chosen={})
@example(text="İI ıi ÉCOLE Å \u212b 한국어 ≠ \u1fef \u037e", chosen={})
@settings(max_examples=200, deadline=None)
def test_wordpiece_agrees_with_the_reference(text: str, chosen: dict[str, Any]) -> None:
    kernel = WordPiece(small_tokens(), specials=specials(), **chosen)
    twin, data = small(reference, **chosen), text.encode()
    ids = kernel.encode(data)
    assert ids == twin.encode(data)
    assert kernel.ends(data) == twin.ends(data)
    assert kernel.count(data) == len(ids)


@given(data=st.binary(max_size=60) | texts.map(lambda text: text.encode()[1:-1]))
@example(data=b"a\xed\xa0\x80b \xf4\x90\x80\x80 \xc0\xaf \xe6\x97[MASK]\xe6\x97")
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_not_utf8_are_as_if_they_were_not_there(data: bytes) -> None:
    if set(data.decode(errors="ignore")) <= KNOWN:
        kernel = small(core)
        assert kernel.encode(data) == small(reference).encode(data)
        assert kernel.ends(data) == small(reference).ends(data)
        assert kernel.encode(data) == kernel.encode(data.decode(errors="replace").encode())


@given(texts, options)
def test_a_text_never_has_more_tokens_than_bytes(text: str, chosen: dict[str, Any]) -> None:
    assert small(core, **chosen).count(text.encode()) <= len(text.encode())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The ROUTER\x00s", ["the", "router", "##s"]),
        ("tokenizing", ["token", "##i", "##z", "##ing"]),
        ("tokenizers\tDON'T", ["tokenize", "##r", "##s", "don", "'", "t"]),
        ("日本のの語x", ["日", "本", "の", "##の", "語", "x"]),
        ("x日y", ["x", "日", "y"]),
        ("ÅÉ word[MASK]word", ["a", "##e", "word", "[MASK]", "word"]),
        ("[MASK]2 [mask]", ["[MASK]2", "[", "m", "##a", "##s", "##k", "]"]),
        ("日の☃", ["日", "[UNK]"]),
        ("\uac01", ["\u1100", "##\u1161", "##\u11a8"]),
        ("\uac02", ["[UNK]"]),
        ("a" * 100, [LONG, *["##a"] * 30]),
        ("a" * 101 + " b", ["[UNK]", "b"]),
        ("b" * 99 + "İ", ["b", *["##b"] * 98, "##i"]),
        ("a\u00adb\u200dc", ["a", "##b", "##c"]),
        ("", []),
        (" \u3000\u2028\n", []),
    ],
)
def test_texts_become_the_tokens_that_bert_gives(twin: ModuleType, text: str, tokens: list[str]) -> None:
    assert spelled(small(twin), text) == tokens


def test_a_cased_vocabulary_keeps_case_and_accents(twin: ModuleType) -> None:
    cased = small(twin, lowercase=False)
    assert spelled(cased, "DON ÉCOLE naïve E\u0301") == ["DON", "ÉCOLE", "naïve", "E", "##\u0301"]
    lower = small(twin, strip_accents=False)
    assert spelled(lower, "É naïve Aİ") == ["é", "naïve", "a", "##i", "##\u0307"]


def test_chinese_characters_stay_together_where_the_option_says_so(twin: ModuleType) -> None:
    assert spelled(small(twin, handle_chinese_chars=False), "日語") == ["日", "##語"]


def test_ends_are_the_bytes_that_tokens_stand_for(twin: ModuleType) -> None:
    assert small(twin).ends("tokenizers  Å[MASK]  日!".encode()).tolist() == [8, 9, 10, 14, 20, 25, 26]


def test_a_vocab_txt_is_read_as_its_mapping(twin: ModuleType) -> None:
    encoder = twin.WordPiece(b"\n".join(small_tokens()) + b"\n")
    assert len(encoder) == len(small_tokens())
    assert encoder.encode(b"the router") == small(twin).encode(b"the router")
    assert twin.WordPiece(b"[UNK]\r\nthe\r\n").encode(b"the x").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("vocabulary", "chosen", "says"),
    [
        ({b"a": 0}, {}, r"the token of unknown words, b'\[UNK\]', is missing; name it with `unknown`"),
        ({b"[UNK]": 0, b"": 1}, {}, r"id 1 has a token of 0 bytes; expected 1 to 65535"),
        ({b"[UNK]": 0, b"a": -1}, {}, r"id -1 is out of range; expected 0 to 2147483647"),
        ({b"[UNK]": 0, b"\xff": 1}, {}, r"id 1 has a token that is not UTF-8"),
        (b"[UNK]\nthe\nthe\n", {}, r"line 3: its token is also on line 2"),
        ({b"[UNK]": 0}, {"max_input_chars_per_word": 257}, r"is 257; expected 1 to 256"),
        ({b"[UNK]": 0}, {"specials": {b"%d" % number: 0 for number in range(65)}}, r"65 special tokens"),
    ],
)
def test_a_vocabulary_that_cannot_be_used_is_refused(
    twin: ModuleType, vocabulary: Any, chosen: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        twin.WordPiece(vocabulary, **chosen)


def test_its_ids_pool_an_embedding_table(tmp_path: Path) -> None:
    rows = np.eye(len(small_tokens()), dtype=np.float32)
    core.write_table(tmp_path / "table.sbt", rows)
    ids = np.frombuffer(small(core).encode(b"the router"), dtype=np.int32)
    vector, is_empty = core.EmbeddingTable.open(tmp_path / "table.sbt").pool(ids)
    assert not is_empty
    assert vector.tolist() == rows[ids].mean(axis=0).tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": None},
        {"normalizer": {"type": "BertNormalizer", "clean_text": False}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"post_processor": {"type": "RobertaProcessing"}},
        {"added_tokens": [{"content": "[MASK]", "id": 4, "lstrip": True}]},
        {"added_tokens": [{"content": "[MASK]", "id": 4, "normalized": True}]},
        {"added_tokens": [{"content": "[MASK]", "id": "four"}]},
        {"model": {"type": "Unigram"}},
        {"model": {**tokenizer_json(small_tokens())["model"], "vocab": ["the"]}},
        {"model": {**tokenizer_json(small_tokens())["model"], "max_input_chars_per_word": "many"}},
        {"model": {**tokenizer_json(small_tokens())["model"], "continuing_subword_prefix": "@@"}},
        {"model": {**tokenizer_json(small_tokens())["model"], "max_input_chars_per_word": 1000}},
    ],
)
def test_a_tokenizer_json_that_asks_for_something_else_is_left_to_the_library(change: dict[str, Any]) -> None:
    data = tokenizer_json(small_tokens())
    assert core.wordpiece_of(data) is not None
    assert core.wordpiece_of(data | change) is None


def test_many_threads_may_use_one_encoder() -> None:
    """Texts long enough for every call to give the GIL away and to outgrow its first room."""
    encoder, dice = small(core), random.Random(4)
    text = ("the quick brown fox! " * 200 + "日本" * 300 + "!" * 3000 + fuzzed_text(dice)).encode()
    start = threading.Barrier(4)

    def use(_: int) -> tuple[object, ...]:
        start.wait()
        return encoder.encode(text), encoder.ends(text), encoder.count(text)

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(use, range(4)))
    assert all(other == seen[0] for other in seen)
    assert len(seen[0][0]) == len(seen[0][1]) == seen[0][2]  # type: ignore[arg-type]
