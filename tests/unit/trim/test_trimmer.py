"""What trimming does with conversations one can read. The laws are in tests/property/test_trimming.py."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from signalbox.core import Role, scan
from signalbox.errors import RouterError, SetupError
from signalbox.trim import Frame, HuggingFaceEncoder, Trimmed, Trimmer
from signalbox.trim.cut import ELLIPSIS, Cutter
from tests.unit.trim.encoders import FAMILIES, body, encoder, wordpiece

QUESTION = "please explain why the router fails and what a decision costs. "


def trim(
    *messages: tuple[str, object], family: str = "wordpiece", budget: int = 256, frame: Frame | None = None
) -> Trimmed:
    return Trimmer(encoder(family), budget, frame).trim(scan(body(*messages)))


def test_a_short_conversation_stays_whole_in_order_with_its_labels() -> None:
    trimmed = trim(("user", "fix it"), ("assistant", "done"), ("user", "thanks"), frame=Frame(b"Q:\n", b"\nA:"))
    assert trimmed.prompt == b"Q:\nUser: fix it\nAssistant: done\nUser: thanks\nA:"
    assert [piece.ranges for piece in trimmed.pieces] == [((0, 6),), ((0, 4),), ((0, 6),)]
    assert trimmed.dropped_messages == 0


def test_roles_without_a_label_are_left_out() -> None:
    messages = [("system", "be kind"), ("developer", "x"), ("user", "fix it"), ("tool", "a log"), ("assistant", "ok")]
    assert trim(*messages).prompt == b"User: fix it\nAssistant: ok"
    assert trim(*messages, frame=Frame(labels={Role.USER: b"", Role.TOOL: b"> "})).prompt == b"fix it\n> a log"


def test_tool_results_inside_a_user_message_are_left_out() -> None:
    parts = [
        {"type": "text", "text": "one"},
        {"type": "tool_result", "content": "log"},
        {"type": "text", "text": "two"},
    ]
    assert trim(("user", parts)).prompt == b"User: one\ntwo"


def test_a_turn_of_nothing_but_harness_text_is_not_the_first_user_turn() -> None:
    trimmed = trim(("user", "<environment_context>x</environment_context>"), ("user", "fix it"))
    assert trimmed.prompt == b"User: fix it"
    assert trimmed.dropped_messages == 1


def test_newest_turns_stay_the_first_user_turn_stays_and_the_middle_goes() -> None:
    turns = [("user" if number % 2 == 0 else "assistant", f"turn {number}: {QUESTION}") for number in range(101)]
    trimmed = trim(*turns)
    pieces = trimmed.pieces
    assert trimmed.tokens >= 0.96 * 256  # the 8 tokens left are a label, an ellipsis and not quite both ends
    assert pieces[0].text == turns[0][1].encode()
    assert len(pieces) + trimmed.dropped_messages == len(turns)
    assert [piece.text for piece in pieces[2:]] == [text.encode() for _, text in turns[-len(pieces) + 2 :]]


def test_the_newest_user_turn_stays_when_a_long_tool_loop_follows_it() -> None:
    loop = [("assistant", f"step {number}: {QUESTION}") for number in range(100)]
    texts = [piece.text for piece in trim(("user", "first"), *loop, ("user", "the question"), *loop).pieces]
    assert texts[:2] == [b"first", b"the question"]


def test_a_long_message_is_cut_in_the_middle_to_60_and_40_percent() -> None:
    [piece] = trim(("user", QUESTION * 200), budget=512).pieces
    head, _, tail = piece.text.partition(ELLIPSIS)
    head_tokens, tail_tokens = encoder("wordpiece").count(head), encoder("wordpiece").count(tail)
    assert abs(head_tokens / (head_tokens + tail_tokens) - 0.6) < 0.02
    assert QUESTION.encode() * 200 == head + (QUESTION * 200).encode()[len(head) : -len(tail)] + tail
    assert piece.ranges == ((0, len(head)), (len(QUESTION) * 200 - len(tail), len(QUESTION) * 200))


def test_two_long_user_turns_share_the_budget_one_to_three() -> None:
    first, newest = trim(("user", "first " + QUESTION * 200), ("user", QUESTION * 200), budget=1024).pieces
    share = encoder("wordpiece").count(first.text) / 1024
    assert 0.2 < share < 0.25
    assert newest.cut_bytes


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["a", " ", "\u0301", "😀", "漢", "\x00", "\\", "x y ", "<", "ﷺ"])
def test_a_megabyte_of_one_character_is_cut_and_not_encoded_whole(family: str, text: str) -> None:
    seen = 0

    class Counting:
        def count(self, text: bytes) -> int:
            nonlocal seen
            seen += len(text)
            return encoder(family).count(text)

        def ends(self, text: bytes) -> object:
            nonlocal seen
            seen += len(text)
            return encoder(family).ends(text)

    trimmed = Trimmer(Counting(), 128).trim(scan(body(("user", text * (1_000_000 // len(text.encode()))))))  # type: ignore[arg-type]
    assert trimmed.tokens <= 128
    assert seen < 128 * 100  # bytes: the budget times a constant, six windows of the widest kind


def test_escapes_and_surrogate_pairs_are_cut_as_the_characters_they_stand_for() -> None:
    raw = b'{"model":"m","messages":[{"role":"user","content":"' + rb"\ud83d\ude00\n\u00e9" * 2000 + b'"}]}'
    trimmed = Trimmer(encoder("byte_bpe"), 128).trim(scan(raw))
    assert set(trimmed.pieces[0].text.decode()) == {"😀", "\n", "é", "…"}


def test_a_prompt_without_anyone_to_read_is_the_frame_alone() -> None:
    assert trim(("system", "x"), frame=Frame(b"before ", b" after")).prompt == b"before  after"
    assert trim().pieces == ()


def test_a_frame_that_leaves_no_room_is_refused_with_the_budget_that_would_do() -> None:
    frame = Frame(before=QUESTION.encode() * 20, extra_tokens=3)
    with pytest.raises(RouterError, match=r"a budget of 200 tokens leaves -?\d+ .* fix: a budget of (\d+)") as refused:
        Trimmer(encoder("wordpiece"), 200, frame)
    enough = int(str(refused.value).split("fix: a budget of ")[1].split(",")[0])
    assert Trimmer(encoder("wordpiece"), enough, frame).trim(scan(body(("user", QUESTION * 99)))).tokens <= enough


def test_one_trimmer_serves_many_threads() -> None:
    trimmer = Trimmer(encoder("byte_bpe"), 256)
    bodies = [body(("user", f"{number} {QUESTION * 300}")) for number in range(8)]
    expected = [trimmer.trim(scan(raw)) for raw in bodies]
    start = threading.Barrier(4)

    def use(_: int) -> list[Trimmed]:
        start.wait()
        return [trimmer.trim(scan(raw)) for raw in bodies]

    with ThreadPoolExecutor(4) as pool:
        assert all(seen == expected for seen in pool.map(use, range(4)))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["", "one two", "naïve 漢字 😀👩‍💻 x", " \n a", "e\u0301" * 5])
def test_ends_are_one_byte_offset_for_each_token(family: str, text: str) -> None:
    ends = list(encoder(family).ends(text.encode()))
    assert len(ends) == encoder(family).count(text.encode())
    assert ends == sorted(ends)
    assert all(0 <= end <= len(text.encode()) for end in ends)


def test_ends_are_where_words_end() -> None:
    assert encoder("wordpiece").ends("the é decision".encode())[-1] == len("the é decision".encode())
    assert encoder("wordpiece").ends(b"the decision")[0] == 3


def test_truncation_and_padding_in_a_tokenizer_file_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    wordpiece().save(str(path))
    assert HuggingFaceEncoder.open(path).count(b"the " * 50) == 50
    assert HuggingFaceEncoder.open(path).count(b"the") == 1


def test_a_tokenizer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    for name in ("bad.json", "missing.json"):
        with pytest.raises(RouterError, match=name):
            HuggingFaceEncoder.open(tmp_path / name)


def test_a_tokenizer_without_an_unknown_token_says_that_it_cannot_encode() -> None:
    lacking = HuggingFaceEncoder(Tokenizer(models.WordPiece({"a": 0}, unk_token="[UNK]")).to_str())
    assert lacking.count(b"a") == 1
    for encode in (lacking.count, lacking.ends):
        with pytest.raises(RouterError, match="no token for a part of this text") as refused:
            encode(b"secret")
        assert "secret" not in str(refused.value)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(SetupError, match="pip install tokenizers"):
        HuggingFaceEncoder("{}")


def test_a_cut_of_long_text_equals_the_cut_of_text_encoded_whole_where_words_are_words() -> None:
    text = (QUESTION * 400).encode()
    ends = encoder("wordpiece").ends(text)
    whole = Cutter(text, ends, [0, *ends[:-1]][::-1])
    assert Cutter.of(text, encoder("wordpiece"), 200).keep(200) == whole.keep(200)
