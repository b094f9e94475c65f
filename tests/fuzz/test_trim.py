"""Any body the scanner accepts can be trimmed, and every law of trimming holds for it."""

from __future__ import annotations

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from signalbox.core import Role, scan
from signalbox.errors import RequestError
from signalbox.trim import Frame, Trimmer
from signalbox.trim.harness import without_harness
from signalbox.types import Endpoint
from tests.fuzz.bodies import mutated, requests, texts
from tests.unit.trim.encoders import FAMILIES, encoder

NAMES = {Role.USER: "user", Role.ASSISTANT: "assistant", Role.OTHER: "narrator", Role.SYSTEM: "system"}
FRAME = Frame(b"Routes: code.\n\n", b"\n\nRoute:", {role: f"{name}: ".encode() for role, name in NAMES.items()})


@given(requests, st.sampled_from(sorted(FAMILIES)), st.integers(100, 300))
def test_any_body_is_trimmed_within_the_budget_and_a_second_time_to_the_same(
    request: tuple[Endpoint, bytes], family: str, budget: int
) -> None:
    try:
        found = scan(request[1])
    except RequestError:
        assume(False)
    trimmer = Trimmer(encoder(family), budget, FRAME)
    once = trimmer.trim(found)
    assert once.tokens == encoder(family).count(once.prompt) <= budget
    assert once.prompt == FRAME.render([(piece.role, piece.text) for piece in once.pieces])
    said = [{"role": NAMES[piece.role], "content": piece.text.decode()} for piece in once.pieces]
    again = trimmer.trim(scan(json.dumps({"model": "m", "messages": said}).encode()))
    assert (again.prompt, again.tokens, again.dropped_messages) == (once.prompt, once.tokens, 0)


HARNESS_SEEDS = (
    b"one <system-reminder>two</system-reminder> three <user_query>four</user_query>",
    b'<file_content path="a">x</file_content><task/># AGENTS.md instructions for x\n\n<INSTRUCTIONS>y</INSTRUCTIONS>',
    b"--- Content from referenced files ---z--- End of content ---[Request interrupted by user]",
)


@given(st.sampled_from(HARNESS_SEEDS) | mutated(texts.map(lambda text: text.encode("utf-8", "replace"))))
def test_harness_text_goes_from_any_bytes_and_none_is_left(text: bytes) -> None:
    once = without_harness(text)
    assert without_harness(once) == once
