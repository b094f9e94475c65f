"""The general heads as they ship: bounded answers for any text, length that does not pay, and doubt where it is due."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.brain.artifact import MODELS
from signalbox.brain.capability import Capability, Need, sigmoid
from signalbox.brain.encoder import Encoder
from signalbox.brain.surface import COLUMNS, columns, length_prior
from signalbox.core import scan
from signalbox.errors import SetupError
from signalbox.features.extract import extract
from signalbox.types import Endpoint, Features, ParsedRequest

ENCODER = Encoder.load()
HEADS = Capability.load()

EASY = "What is the capital of Norway?"
HARD = (
    "Prove that every bounded monotone sequence of real numbers converges, then give a counterexample in the rationals "
    "and compute the limit of $a_{n+1} = \\frac{1}{2}(a_n + \\frac{2}{a_n})$ with $a_1 = 1$."
)
SMALL_TALK = (
    "It was such a lovely day and the sun was warm on the wall behind the house where the cat likes to sleep and my "
    "aunt came by with a cake that she had made in the morning before the rain began to fall on the quiet garden "
)


def features_of(text: str) -> Features:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
    return extract(ParsedRequest(Endpoint.CHAT_COMPLETIONS, body, scan(body), {}))


def need_of(text: str) -> Need:
    return HEADS.need(ENCODER.vector(text.encode()), features_of(text))


def is_chance(value: float) -> bool:
    return math.isfinite(value) and 0.0 <= value <= 1.0


def test_a_proof_needs_the_strong_tier_more_than_a_capital_does() -> None:
    assert need_of(HARD).strong > need_of(EASY).strong + 0.1
    assert need_of(HARD).success["weak"] < need_of(EASY).success["weak"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_every_text_gets_chances(text: str) -> None:
    clean = text.encode("utf-8", "replace").decode()
    need = need_of(clean)
    assert all(map(is_chance, [need.strong, need.familiarity, *need.success.values()]))
    assert need.success.keys() == {"strong", "weak"}


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_text_get_chances(raw: bytes) -> None:
    need = HEADS.need(ENCODER.vector(raw), features_of("some words"))
    assert all(map(is_chance, [need.strong, need.familiarity, *need.success.values()]))


@settings(deadline=None)
@given(st.sampled_from([EASY, "hi", "Which colour is the sky?"]), st.integers(1, 60))
def test_padding_a_trivial_prompt_never_makes_it_look_as_hard_as_a_proof(prompt: str, times: int) -> None:
    padded = need_of(SMALL_TALK * times + prompt)
    assert padded.strong < need_of(HARD).strong - 0.05


def test_words_without_anything_to_do_stop_counting() -> None:
    assert length_prior(features_of(SMALL_TALK)) == length_prior(features_of(SMALL_TALK * 40))


@pytest.mark.parametrize(
    "text", ["", "   ", "\n\n", "これは何ですか", "Что такое рекурсия и зачем она нужна?", "ما هو"]
)
def test_it_is_unsure_of_no_text_and_of_scripts_it_was_not_trained_on(text: str) -> None:
    assert need_of(text).unsure


def test_it_is_sure_of_texts_like_those_it_was_trained_on() -> None:
    assert not need_of(HARD).unsure
    assert need_of(HARD).familiarity > 0.5


def test_a_measure_that_failed_leaves_numbers() -> None:
    features = features_of(EASY)._replace(complexity=math.nan)
    need = HEADS.need(ENCODER.vector(EASY.encode()), features)
    assert is_chance(need.strong)
    assert all(math.isfinite(value) for value in columns(features))
    assert len(columns(features)) == len(COLUMNS)


def test_without_a_vector_only_length_is_left() -> None:
    nothing = np.zeros(ENCODER.dims, np.float32)
    short, long = HEADS.need(nothing, features_of("Go on.")), HEADS.need(nothing, features_of(HARD))
    assert short.unsure
    assert short.familiarity == 0.0
    assert short.strong < long.strong


@given(st.floats(allow_nan=False))
def test_the_logistic_function_takes_any_number(logit: float) -> None:
    assert 0.0 <= sigmoid(logit) <= 1.0


def copy(folder: Path) -> Path:
    for name in ("capability.json", "capability.npz"):
        shutil.copy(MODELS / name, folder)
    return folder


def test_heads_are_refused_when_a_byte_changed(tmp_path: Path) -> None:
    arrays = copy(tmp_path) / "capability.npz"
    arrays.chmod(0o644)
    content = bytearray(arrays.read_bytes())
    content[-40] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(SetupError, match=r"capability\.npz"):
        Capability.load(tmp_path)


def test_heads_whose_manifest_lacks_a_part_are_refused_by_name(tmp_path: Path) -> None:
    place = copy(tmp_path) / "capability.json"
    says = json.loads(place.read_text())
    del says["general"]["logits"]["need"]
    place.chmod(0o644)
    place.write_text(json.dumps(says))
    with pytest.raises(SetupError, match="need"):
        Capability.load(tmp_path)


def test_the_heads_that_ship_were_made_for_the_encoder_that_ships() -> None:
    assert json.loads((MODELS / "capability.json").read_text())["encoder"] == ENCODER.version
