"""docs/features.md and the type name the same features, in the same order, each with a unit."""

from __future__ import annotations

import re
from pathlib import Path

from signalbox.core import SCRIPTS
from signalbox.features.asked import TOKENS_PER_UNIT
from signalbox.types import Features, InOut

DOCUMENT = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", DOCUMENT, re.M)


def test_every_feature_is_in_the_table_and_nothing_else() -> None:
    assert [name for name, _, _ in ROWS] == list(Features._fields)


def test_every_name_ends_in_its_unit_or_the_table_says_it() -> None:
    for name, unit, meaning in ROWS:
        assert unit.strip(), name
        assert meaning.strip(), name
        for suffix in ("bytes", "tokens"):
            assert unit.strip() == suffix or not name.endswith("_" + suffix), name
        assert unit.strip() == "0 to 1" or not name.endswith("_share"), name


def test_closed_sets_are_listed() -> None:
    told = {name: meaning for name, _, meaning in ROWS}
    assert all(f"`{script}`" in told["scripts"] for script in SCRIPTS)
    assert all(f"`{kind}`" in told["modality"] for kind in InOut)


def test_the_units_of_length_are_those_of_the_code() -> None:
    said = re.sub(r"\s+", " ", DOCUMENT)
    for unit in ("line", "bullet", "sentence", "paragraph", "page"):
        assert re.search(rf"{unit}\b[a-z ]* for {TOKENS_PER_UNIT[unit]:g}\b", said), unit
    assert TOKENS_PER_UNIT["character"] == 1 / 4
    assert f"a word for {TOKENS_PER_UNIT['word']:g} tokens" in said
