"""Requests for images, told from talk about pictures. The texts are none of those it was trained on."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.brain.artifact import MODELS
from signalbox.brain.encoder import Encoder
from signalbox.brain.modality import CUES, HEAD_BYTES, TAIL_BYTES, Modality, cues
from signalbox.errors import SetupError

ASKS = [
    "Draw me a picture of a lighthouse in a storm",
    "could you paint a small red house by a lake?",
    "Generate an image of two astronauts playing chess",
    "I'd love an illustration of a hedgehog reading a newspaper",
    "Please make a logo for a bakery called Crumbs, with a croissant",
    "/imagine a city built on the back of a turtle",
    "a castle made of glass, oil on canvas, dramatic lighting",
    "Zeichne einen Hund",
    "Hey! Can you create a birthday card with a dinosaur on it?",
    "We finished the text of the flyer. Now generate a photo of a full lecture hall.",
]
TALKS = [
    "Explain how diffusion models work",
    "What conclusion can we draw from these figures?",
    "Draw a conclusion from the results",
    "Write Python code that draws a circle",
    "Describe this picture",
    "Create an SVG of a house",
    "make ASCII art of a fish",
    "Plot a histogram with matplotlib",
    "How do I draw a realistic eye?",
    "Write a poem about a painting of the sea",
    "Build a Docker image for this service",
    "What is in this image?",
    "Who painted the Mona Lisa?",
    "Summarize the following article.",
    "What is the capital of Australia?",
    "Refactor this function so that it has no side effects",
    "Give me a recipe for lentil soup",
    "create an image classifier in PyTorch",
    "paint a picture of the economy in 1929",
    "Thanks, that helps",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.load()


@pytest.fixture(scope="module")
def modality() -> Modality:
    return Modality.load()


def chance(modality: Modality, encoder: Encoder, text: str) -> float:
    raw = text.encode()
    return modality.image(encoder.vector(raw), raw)


@pytest.mark.parametrize("text", ASKS)
def test_a_request_for_an_image_is_one(modality: Modality, encoder: Encoder, text: str) -> None:
    assert chance(modality, encoder, text) >= 0.5


@pytest.mark.parametrize("text", TALKS)
def test_talk_of_pictures_and_other_talk_is_none(modality: Modality, encoder: Encoder, text: str) -> None:
    assert chance(modality, encoder, text) < 0.5


def test_a_caption_and_nothing_else_counts_as_a_wish(modality: Modality, encoder: Encoder) -> None:
    assert chance(modality, encoder, "a green apple and a brown horse on a beach") >= 0.5
    assert chance(modality, encoder, "Is a green apple sweeter than a red one?") < 0.5


def test_a_wish_at_the_end_of_a_long_text_is_read(modality: Modality, encoder: Encoder) -> None:
    story = "The old man looked at the sea and said nothing. " * 400
    wish = cues((story + "\nDraw a picture of the old man.").encode())
    assert wish[-7] == 1.0
    assert cues(story.encode())[-7] == 0.0


@given(st.binary(max_size=300) | st.text(max_size=HEAD_BYTES + TAIL_BYTES + 100).map(str.encode))
def test_any_bytes_have_a_chance(raw: bytes) -> None:
    found = cues(raw)
    assert found.shape == (CUES,)
    assert np.isfinite(found).all()
    model = Modality(np.ones(4, np.float32), np.full(CUES, 50, np.float32), -10.0)
    assert 0.0 <= model.image(np.zeros(4, np.float32), raw) <= 1.0
    assert math.isfinite(model.image(np.full(4, 1e30, np.float32), raw))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    for name in ("modality.json", "modality.npy"):
        shutil.copy(MODELS / name, tmp_path)
    manifest = json.loads((tmp_path / "modality.json").read_text())
    (tmp_path / "modality.json").write_text(json.dumps(manifest | {"dims": manifest["dims"] + 1}))
    with pytest.raises(SetupError, match=r"modality\.npy: float32, shape"):
        Modality.load(tmp_path)
    (tmp_path / "modality.npy").write_bytes(b"x")
    with pytest.raises(SetupError, match="SHA-256"):
        Modality.load(tmp_path)
