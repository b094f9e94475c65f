"""Laws of trimming, over conversations made to break them and tokenizers of three families."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import assume, event, example, given, settings
from hypothesis import strategies as st

from signalbox.core import Role, Scan, scan
from signalbox.trim import Frame, Trimmer
from signalbox.trim.conversation import Conversation
from signalbox.trim.cut import ELLIPSIS, cut_middle
from signalbox.trim.fit import Costs, Fit, Part
from signalbox.trim.harness import BLOCKS, LITERALS, WRAPPERS, kept_ranges, without_harness
from tests.unit.trim.encoders import FAMILIES, OTHER_LANGUAGES, encoder

FRAME = Frame(before=b"Routes: code, chat, other.\n\n", after=b"\n\nRoute:", extra_tokens=2)
ROLE_NAMES = {Role.USER: "user", Role.ASSISTANT: "assistant", Role.OTHER: "narrator"}
MARKERS = [
    form.format(name)
    for name in [*BLOCKS[:4], *WRAPPERS[:3], BLOCKS[4].upper().replace("-", "_")]
    for form in ("<{}>", "</{}>", '<{} path="é">', "<{}/>", "<{}", "{}>")
]
MARKERS += ["# AGENTS.md instructions for x\n\n<INSTRUCTIONS>", "</INSTRUCTIONS>", "# AGENTS.md instructions", "\n\n"]
MARKERS += [
    "--- Content from referenced files ---",
    "--- End of content ---",
    *(text.decode() for text in LITERALS[:2]),
]
HARD = [
    "a",
    "aaaa",
    "\u0301",
    "e\u0301\u0323",
    "\u200d",
    "👩‍💻",
    "😀",
    "\x00",
    "漢",
    "ﷺ",
    "ß",
    "\u202e",
    "\\",
    "\ufffd",
    " ",
    "\n",
    "<",
    ">",
]
PROSE = ["please ", "fix the bug in ", "the router ", "and explain why it ", "fails. ", "def f(x):\n    return x\n"]

pieces = (
    st.sampled_from(PROSE)
    | st.sampled_from([*HARD, *MARKERS, *OTHER_LANGUAGES, "…", ELLIPSIS.decode()])
    | st.text(max_size=6)
)
runs = st.tuples(pieces, st.integers(1, 8) | st.sampled_from([50, 300, 2000])).map(lambda pair: pair[0] * pair[1])
texts = st.lists(runs, max_size=6).map("".join)
contents = texts | st.lists(texts, max_size=3).map(lambda parts: [{"type": "text", "text": text} for text in parts])
roles = st.sampled_from(["user", "user", "assistant", "assistant", "system", "developer", "tool", "narrator"])
conversations = st.lists(st.tuples(roles, contents), max_size=12)
families = st.sampled_from(sorted(FAMILIES))
budgets = st.integers(100, 400)
SMALLEST_ROOM = 2  # in which first and newest user turn show both ends and nothing else does


def scanned(messages: list[tuple[str, Any]]) -> Scan:
    entries = [{"role": role, "content": content} for role, content in messages]
    return scan(json.dumps({"model": "auto", "messages": entries}).encode())


def fitting(messages: list[tuple[str, Any]], family: str, budget: int) -> Fit:
    """The work behind one call of `Trimmer.trim`, to ask what it did not choose."""
    costs = Costs.of(FRAME, encoder(family), budget)
    return Fit(encoder(family), FRAME, costs, budget, Conversation.of(scanned(messages), FRAME.labels))


def said(messages: list[tuple[str, Any]], role: str) -> list[bytes]:
    """What a role says in each of its turns, without what a harness says; blank turns left out."""
    found = scanned([message for message in messages if message[0] == role])
    written = [without_harness(found.passage_text(part.first, part.end)) for part in found.passages]
    return [text for text in written if text]


def represents(piece_text: bytes, text: bytes) -> bool:
    """The whole text, or both of its ends around one ellipsis."""
    if piece_text == text:
        return True
    for at in range(len(piece_text)):
        if piece_text.startswith(ELLIPSIS, at):
            head, tail = piece_text[:at], piece_text[at + len(ELLIPSIS) :]
            if head and tail and len(head) + len(tail) < len(text) and text.startswith(head) and text.endswith(tail):
                return True
    return False


@given(conversations, families, budgets)
@settings(max_examples=400, deadline=None)
def test_no_conversation_goes_over_the_budget(messages: list[tuple[str, Any]], family: str, budget: int) -> None:
    trimmed = Trimmer(encoder(family), budget, FRAME).trim(scanned(messages))
    event("everything fits" if not trimmed.dropped_messages and not any(p.cut_bytes for p in trimmed.pieces) else "cut")
    assert trimmed.tokens == encoder(family).count(trimmed.prompt) + FRAME.extra_tokens <= budget
    assert trimmed.prompt == FRAME.render([(piece.role, piece.text) for piece in trimmed.pieces])
    trimmed.prompt.decode()


@given(conversations, families, budgets)
@settings(max_examples=400, deadline=None)
def test_trimming_what_was_trimmed_changes_nothing(messages: list[tuple[str, Any]], family: str, budget: int) -> None:
    trimmer = Trimmer(encoder(family), budget, replace(FRAME, labels={**FRAME.labels, Role.OTHER: b"Other: "}))
    once = trimmer.trim(scanned(messages))
    again = trimmer.trim(scanned([(ROLE_NAMES[piece.role], piece.text.decode()) for piece in once.pieces]))
    assert again.prompt == once.prompt
    assert (again.tokens, again.dropped_messages) == (once.tokens, 0)


@given(conversations, families, budgets)
@settings(max_examples=120, deadline=None)
def test_the_same_bytes_in_are_the_same_tokens_out(messages: list[tuple[str, Any]], family: str, budget: int) -> None:
    trimmer = Trimmer(encoder(family), budget, FRAME)
    shuffled_work = Trimmer(encoder(family), budget, FRAME)
    first = trimmer.trim(scanned(messages))
    shuffled_work.trim(scanned(messages[::-1]))
    assert shuffled_work.trim(scanned(messages)) == first == trimmer.trim(scanned(messages))


@given(conversations, families, budgets)
@settings(max_examples=300, deadline=None)
def test_the_first_and_the_newest_user_turn_are_there_with_both_their_ends(
    messages: list[tuple[str, Any]], family: str, budget: int
) -> None:
    turns = said(messages, "user")
    assume(turns)
    fit = fitting(messages, family, budget)
    if not fit.drafted(fit.select(SMALLEST_ROOM)).fits:
        event("the ends alone are over the budget")
        assert any(ord(character) > 127 for turn in (turns[0], turns[-1]) for character in turn.decode())
        return
    users = [part.text for part in fit.draft().parts if part.message.role == Role.USER]
    assert represents(users[0], turns[0])
    assert represents(users[-1], turns[-1])


@given(conversations, families, budgets)
@example(  # the windows a message is cut in must not depend on what was tried before
    [
        ("user", "please " * 7 + "1\x80" * 300),
        ("user", "please " * 4 + "def f(x):\n    return x\n" * 4),
        ("assistant", "please " * 50 + "\U00010000\U00016b3c" * 50),
    ],
    "wordpiece",
    146,
)
@settings(max_examples=300, deadline=None)
def test_a_conversation_that_fits_stays_whole_and_of_any_other_one_step_more_would_not_fit(
    messages: list[tuple[str, Any]], family: str, budget: int
) -> None:
    fit = fitting(messages, family, budget)
    whole = [Part(message) for message in fit.conversation.newest_first()][::-1]
    if fit.drafted(whole).fits:
        assert fit.draft().parts == whole
        return
    room, fullest = fit.fullest()
    assert fit.draft() == fullest
    assert fullest.fits
    if fullest.spare > 0.03 * budget:
        event("not full")
        assert not fit.drafted(fit.select(room + 1)).fits


@given(conversations, families, budgets)
@example(  # whole stretches between markers fall into the cut, with all their joints
    [("user", "please " * 60 + f"{LITERALS[0].decode()} please " * 3 + "please " * 60)],
    "byte_bpe",
    100,
)
@settings(max_examples=300, deadline=None)
def test_pieces_are_messages_in_order_and_their_ranges_are_what_stays(
    messages: list[tuple[str, Any]], family: str, budget: int
) -> None:
    found = scanned(messages)
    trimmed = Trimmer(encoder(family), budget, FRAME).trim(found)
    turns = [piece.turn for piece in trimmed.pieces]
    assert turns == sorted(set(turns))
    for piece in trimmed.pieces:
        [passage] = [passage for passage in found.passages if passage.turn == piece.turn]
        whole = found.passage_text(passage.first, passage.end)
        stays = [whole[start:end] for start, end in piece.ranges]
        for text in stays:
            text.decode()  # no range splits a character
        spoken = b"".join(b"".join(stays).split())
        shown = b"".join(piece.text.split())
        assert shown == spoken if not piece.cut_bytes else len(shown) == len(spoken) + len(ELLIPSIS.strip())
        joints = len(kept_ranges(whole)) - 1  # newlines between what the harness left, which a cut may count
        accounted = sum(map(len, stays)) + piece.cut_bytes + piece.harness_bytes
        assert len(whole) <= accounted <= len(whole) + joints


WORDS = [word for text in PROSE for word in text.split()] + ["naïve", "请帮我", "ошибку", "x = 42;", "(see below)"]
plain_texts = st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30), st.sampled_from([1, 1, 3, 40])).map(
    lambda pair: " ".join(pair[0] * pair[1])
)
histories = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), plain_texts), min_size=1, max_size=12)


@given(histories, families, st.sampled_from([256, 512, 1024]))
@settings(max_examples=120, deadline=None)
def test_97_percent_of_the_budget_are_used_when_there_is_that_much_text(
    messages: list[tuple[str, str]], family: str, budget: int
) -> None:
    while sum(len(text.split()) for _, text in messages) <= budget:  # a word is a token or more
        messages = messages * 2
    trimmed = Trimmer(encoder(family), budget, FRAME).trim(scanned(messages))
    # These vocabularies spell "\nAssistant: " and the ellipsis in many tokens; a message cut to nothing but them costs
    one_more = encoder(family).count(b"\nAssistant: " + ELLIPSIS) + 4
    assert budget - max(0.03 * budget, one_more) <= trimmed.tokens <= budget


@given(texts)
@settings(max_examples=300, deadline=None)
def test_removing_harness_text_twice_removes_no_more(text: str) -> None:
    once = without_harness(text.encode())
    assert without_harness(once) == once


@given(texts, st.integers(0, 4000), st.integers(0, 4000))
@settings(max_examples=300, deadline=None)
def test_a_cut_in_text_without_harness_text_makes_none(text: str, head: int, tail: int) -> None:
    left = without_harness(text.encode()).decode()
    shown = cut_middle(left.encode(), len(left[:head].encode()), len(left.encode()) - len(left[head:][-tail:].encode()))
    assert without_harness(shown) == (shown if shown.strip() else b"")


@given(texts)
@settings(max_examples=300, deadline=None)
def test_what_stays_beside_harness_text_is_the_text_in_order(text: str) -> None:
    raw = text.encode()
    ranges = kept_ranges(raw)
    assert all(start < end and raw[start:end].strip() for start, end in ranges)
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


user_words = st.text(st.characters(codec="utf-8", exclude_characters="<>#-[]"), max_size=30)


@given(st.lists(st.tuples(user_words, st.sampled_from(BLOCKS), user_words), max_size=5), user_words)
@settings(max_examples=300, deadline=None)
def test_every_word_outside_the_markers_stays_and_none_inside(blocks: list[tuple[str, str, str]], end: str) -> None:
    raw = "".join(f"{user}<{name}>{inside}</{name}>" for user, name, inside in blocks) + end
    assume("Caveat: The messages below" not in raw)
    outside = "".join(user for user, _, _ in blocks) + end
    assert b"".join(without_harness(raw.encode()).split()) == b"".join(outside.encode().split())


@given(st.lists(user_words | st.sampled_from([f"<{name}>" for name in BLOCKS]), max_size=8))
@settings(max_examples=300, deadline=None)
def test_start_markers_that_are_never_closed_cost_no_text(parts: list[str]) -> None:
    raw = "".join(parts).encode()
    assert without_harness(raw) == (raw if raw.strip() else b"")
