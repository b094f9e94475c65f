"""What the journal keeps of a request: every number, no text."""

from __future__ import annotations

import json
from math import isfinite, nan

from hypothesis import given
from hypothesis import strategies as st

from signalbox import record
from signalbox.core import SCRIPTS
from signalbox.features.journal import FIELDS, MODALITIES, UNKNOWN, journal_features
from signalbox.types import Features, InOut
from tests.unit.decide.cases import make_case

IMPLIED = {"tokens_estimated", "modalities", "scripts"}  # by the record's counts, by images/audio/files, by the shares


def kept(features: Features) -> dict[str, float]:
    return dict(zip(FIELDS, journal_features(features), strict=True))


def test_every_feature_has_a_column_of_its_name_or_is_told_by_others() -> None:
    scripts = {f"{script}_share" for script in SCRIPTS}
    assert set(Features._fields) - IMPLIED == set(FIELDS) - scripts
    assert len(set(FIELDS)) == len(FIELDS)


def test_a_column_says_what_the_feature_says() -> None:
    features = make_case(text="Why? Fix 3 bugs. Не надо.", max_tokens=77, parallel_tool_calls=False).features
    columns = kept(features)

    assert columns["output_tokens"] == 77
    assert columns["parallel_tool_calls"] == 0
    for name in ("words", "questions", "numbers", "text_bytes", "turns", "prompt_tokens"):
        assert columns[name] == getattr(features, name) > 0
    shares = dict(features.scripts)
    assert 0 < shares["cyrillic"] < 1
    assert columns["cyrillic_share"] == round(shares["cyrillic"], 4)
    assert columns["latin_share"] == round(shares["latin"], 4)
    assert columns["thai_share"] == 0


def test_what_is_not_known_is_a_number_that_nothing_known_is() -> None:
    columns = kept(make_case().features._replace(complexity=nan))

    unknown = {name for name, value in columns.items() if value == UNKNOWN}
    assert unknown == {"complexity", "output_tokens", "answer_tokens_asked", "parallel_tool_calls"}


def test_each_modality_has_its_own_number() -> None:
    features = make_case().features
    places = [kept(features._replace(modality=kind))["modality"] for kind in InOut]
    assert [MODALITIES[int(place)] for place in places] == list(InOut)


@given(st.text(max_size=200))
def test_whatever_the_text_the_columns_are_finite_numbers_that_survive_the_record(text: str) -> None:
    columns = journal_features(make_case(text=text).features)

    assert all(type(value) in (int, float) and isfinite(value) for value in columns)
    sent = record.encode(record.Record(id="sb-1", features=columns))
    assert record.decode(sent).features == columns
    assert all(type(value) is not bool for value in json.loads(sent)["features"])
