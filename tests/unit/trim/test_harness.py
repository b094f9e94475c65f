from __future__ import annotations

import re

import pytest

from signalbox.trim.harness import BLOCKS, LITERALS, WRAPPERS, kept_ranges, without_harness


@pytest.mark.parametrize("name", BLOCKS)
def test_each_listed_block_goes_with_what_is_in_it(name: str) -> None:
    text = f"Fix the login.\n<{name}>\nthe date is today\n</{name}>\nIt fails."
    assert without_harness(text.encode()) == b"Fix the login.\nIt fails."


@pytest.mark.parametrize("name", WRAPPERS)
def test_each_listed_wrapper_goes_and_leaves_the_users_words(name: str) -> None:
    assert without_harness(f"<{name}>\nFix the login.\n</{name}>".encode()) == b"Fix the login."


@pytest.mark.parametrize("literal", LITERALS)
def test_each_listed_sentence_goes(literal: bytes) -> None:
    assert without_harness(literal + b"\nFix the login.") == b"Fix the login."


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<SYSTEM_REMINDER>x</System-Reminder>hi", "hi"),
        ('<file_content path="a b.py">x</file_content>hi', "hi"),
        ("<permissions instructions>x</permissions instructions>hi", "hi"),
        ("hi <ide_selection/>there", "hi\nthere"),
        ("# AGENTS.md instructions for /src\n\n<INSTRUCTIONS>\nBe kind.\n</INSTRUCTIONS>\nhi", "hi"),
        ("--- Content from referenced files ---\nx\n--- End of content ---\nhi", "hi"),
        ("<bash-stdout><system-reminder>x</system-reminder></bash-stdout>hi", "hi"),
        ("<system-reminder>a<system-reminder>b</system-reminder>c</system-reminder>hi", "hi"),
        ("<user_query>hi</user_query><environment_details>x</environment_details>", "hi"),
        ("<system-reminder>only this</system-reminder>", ""),
        ("  \n ", ""),
        ("", ""),
    ],
)
def test_spellings_attributes_nesting_and_other_fences(text: str, left: str) -> None:
    assert without_harness(text.encode()) == left.encode()


@pytest.mark.parametrize(
    "text",
    [
        "<system-reminder> is what I see; why?",
        "why </system-reminder> first and <system-reminder> last?",
        "<system-reminder>a</environment_details>",
        "<system-reminders>a</system-reminders>",
        "<context>the contract</context><document>it</document><example>x</example><instructions>do</instructions>",
        "a < b and c > d, <div>x</div>",
        "<INSTRUCTIONS>mine</INSTRUCTIONS>",
        "<system-reminder\n>a</system-reminder>",
        "# AGENTS.md instructions" + "." * 401 + "\n\n<INSTRUCTIONS>x</INSTRUCTIONS>",
        "  indented, with a blank at the end ",
    ],
)
def test_what_a_person_may_have_written_stays_to_the_byte(text: str) -> None:
    assert kept_ranges(text.encode()) == [(0, len(text))]


def test_an_end_marker_missing_in_one_pair_does_not_cost_the_text_between_others() -> None:
    text = b"<bash-stdout>x one <system-reminder>y</system-reminder> two </bash-input> three"
    assert without_harness(text) == b"<bash-stdout>x one\ntwo </bash-input> three"


def test_ranges_are_bytes_of_the_text() -> None:
    text = "é <system-reminder>ü</system-reminder> ß".encode()
    assert [text[start:end].decode() for start, end in kept_ranges(text)] == ["é", "ß"]


def test_a_megabyte_of_markers_that_lead_nowhere_is_read_in_linear_time() -> None:
    """Quadratic work here would take hours, not a moment."""
    openings = (b"<", b"<system-reminder", b"<system-reminder ", b"<system-reminder>", b"</system-reminder>")
    for hostile in (*openings, b"# AGENTS.md instructions", b"--- Content from referenced files ---"):
        text = hostile * (1_000_000 // len(hostile))
        assert kept_ranges(text) == [(0, len(text))]


def test_no_name_is_listed_twice() -> None:
    names = [re.sub("[-_ ]", "-", name.lower()) for name in (*BLOCKS, *WRAPPERS)]
    assert len(names) == len(set(names))
