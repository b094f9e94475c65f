"""Names and addresses, found by a model: sentences that it was not trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.brain.artifact import MODELS
from signalbox.brain.names import OVERLAP_BYTES, PIECE_BYTES, NameFinder
from signalbox.brain.personal_data import find
from signalbox.errors import SetupError
from signalbox.types import PersonalData

PERSON, ADDRESS = PersonalData.PERSON, PersonalData.STREET_ADDRESS


@pytest.fixture(scope="module")
def finder() -> NameFinder:
    return NameFinder.load()


@pytest.mark.parametrize(
    "text",
    [
        "Please reply to Jennifer Martinez before Monday.",
        "the patient, Tomasz Kowalski, was seen on 3 May",
        "Regards,\nAisha Rahman",
        "I am Lucía Fernández and I lost my parcel",
    ],
)
def test_a_name_is_found(finder: NameFinder, text: str) -> None:
    assert PERSON in finder.find(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "Send it to 42 Willow Street, Apt. 7, Springfield, IL 62704",
        "our new office is at Lindenstraße 12",
        "please deliver to 1500 Harbour Road",
    ],
)
def test_an_address_is_found(finder: NameFinder, text: str) -> None:
    assert ADDRESS in finder.find(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is the capital of Germany?",
        "how do I install Python on Windows",
        "Write a function that sorts a list of numbers in place",
        "transfer 200 dollars from checking to savings",
        "Explain the difference between TCP and UDP",
    ],
)
def test_plain_requests_hold_neither(finder: NameFinder, text: str) -> None:
    assert finder.find(text.encode()) == ()


@pytest.mark.parametrize("place", [0, PIECE_BYTES - 10, PIECE_BYTES + OVERLAP_BYTES, 3 * PIECE_BYTES])
def test_a_name_is_found_wherever_in_a_long_text_it_stands(finder: NameFinder, place: int) -> None:
    plain = b"write a function that sorts a list of numbers in place\n" * 4_000
    assert finder.find(plain) == ()
    place = plain.index(b"\n", place) + 1
    text = plain[:place] + b"Please reply to Jennifer Martinez before Monday.\n" + plain[place:]
    assert PERSON in finder.find(text)


def test_only_kinds_that_are_wanted_are_told() -> None:
    text = b"Please reply to Jennifer Martinez, jane@example.com"
    assert find(text, {PERSON, PersonalData.EMAIL}) == (PersonalData.EMAIL, PERSON)
    assert find(text, {PERSON}) == (PERSON,)
    assert find(text, {PersonalData.EMAIL}) == (PersonalData.EMAIL,)
    assert find(text, ()) == ()


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_have_finite_scores(finder: NameFinder, text: bytes) -> None:
    assert np.isfinite(finder.scores(text)).all()


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    for path in MODELS.glob("privacy.*"):
        shutil.copy(path, tmp_path)
    manifest = json.loads((tmp_path / "privacy.json").read_text())
    (tmp_path / "privacy.json").write_text(json.dumps(manifest | {"scale": [1.0]}))
    with pytest.raises(SetupError, match="`scale` or `bias`"):
        NameFinder.load(tmp_path)
    (tmp_path / "privacy.lists.npy").write_bytes(b"x")
    with pytest.raises(SetupError, match="SHA-256"):
        NameFinder.load(tmp_path)
