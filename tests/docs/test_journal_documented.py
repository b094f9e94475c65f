"""docs/journal.md lists every member of a line, in order, and every column of the features."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from signalbox.collector.journal.entry import VERSION, FeedbackEntry, RequestEntry
from signalbox.features.journal import FIELDS, MODALITIES
from signalbox.label import Label

TEXT = (Path(__file__).parents[2] / "docs" / "journal.md").read_text()


def section(title: str) -> str:
    return TEXT.partition(f"{title}\n")[2].partition("\n#")[0]


def members(title: str) -> list[tuple[str, str]]:
    """(member, unit) of each row; a row may name several."""
    rows = re.findall(r"^\| (`.*?`) \| (.*?)\s*\| .+ \|$", section(title), re.MULTILINE)
    return [(name, unit) for names, unit in rows for name in re.findall(r"`(\w+)`", names)]


@pytest.mark.parametrize(
    ("title", "entry"),
    [
        ('### `"kind": "request"`', RequestEntry),
        ('### `"kind": "feedback"`', FeedbackEntry),
        ('### `"kind": "label"`', Label),
    ],
)
def test_every_member_of_a_line_is_documented_in_order(title: str, entry: type[msgspec.Struct]) -> None:
    assert [name for name, _ in members(title)] == [field.encode_name for field in msgspec.structs.fields(entry)]


UNITS = {"seconds": "seconds", "ms": "milliseconds", "us": "microseconds", "usd": "USD", "tokens": "tokens"}


def test_a_name_that_ends_in_a_unit_has_that_unit() -> None:
    for name, unit in (
        members('### `"kind": "request"`') + members('### `"kind": "feedback"`') + members('### `"kind": "label"`')
    ):
        expected = UNITS.get(name.rpartition("_")[2])
        assert expected is None or unit.startswith(expected), name


def test_the_columns_of_the_features_are_listed_in_order() -> None:
    text = section("## Features")
    listed = re.findall(r"`(\w+)`", text.rpartition("\n\n")[2])
    assert tuple(listed) == FIELDS
    assert re.findall(r"`(\w+)`", text.partition("is the place in")[2].partition("from 0")[0]) == list(MODALITIES)


def test_the_version_is_the_one_that_is_written() -> None:
    assert TEXT.count(f"version, {VERSION} |") == 3
