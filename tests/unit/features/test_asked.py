from __future__ import annotations

import re

import pytest

from signalbox.features.asked import answer_tokens, asks_for_image, asks_to_reason
from signalbox.features.vocabulary import ASKING_WORDS

IMAGES = [
    "Draw me a picture of a cat wearing a hat",
    "generate an image of a sunset over the sea",
    "Please create a minimalist logo for my bakery.",
    "Can you make a photorealistic portrait of an old sailor?",
    "I'd like you to design a poster for our concert",
    "Hi, could you please generate three cute stickers",
    "Here is my idea.\nRender a 3D illustration showing the engine",
    "Summary first. Then paint a watercolor painting of the valley",
]
NO_IMAGES = [
    "explain how diffusion models draw images",
    "Explain how to draw a picture with matplotlib",
    "create an image classifier in PyTorch",
    "Write a function that can generate an image of a cat",
    "build a docker image for this service",
    "Make a container image of the app",
    "create an image upload form",
    "Create an icon of a cat in SVG",
    "draw a conclusion from this picture",
    "What does this image show?",
    "describe the picture of the dog",
    "The agency asked us to draw a picture of the market",
    "Paint a picture of the economy",
    "Who painted the portrait of Dorian Gray?",
    "She said: we draw images all day",
]


@pytest.mark.parametrize("text", IMAGES)
def test_a_command_to_make_a_picture_asks_for_an_image(text: str) -> None:
    assert asks_for_image(text)


@pytest.mark.parametrize("text", NO_IMAGES)
def test_talk_about_pictures_does_not(text: str) -> None:
    assert not asks_for_image(text)


LENGTHS = [
    ("Explain it in 3 sentences.", 75),
    ("Answer in one sentence", 25),
    ("at most 200 words please", 280),
    ("Write no more than two short paragraphs", 220),
    ("Limit your answer to 50 words", 70),
    ("a 500-word essay on Rome", 700),
    ("200 words or less", 280),
    ("within 1,000 characters", 250),
    ("In up to 5 bullets, then in 2 sentences", 125),
    ("UNDER 100 TOKENS", 100),
    ("in 9999999 pages", 1_000_000),
]


@pytest.mark.parametrize(("text", "tokens"), LENGTHS)
def test_a_length_asked_for_is_converted_to_tokens(text: str, tokens: int) -> None:
    assert answer_tokens(text) == tokens


@pytest.mark.parametrize(
    "text",
    ["The file has 200 words.", "I read 30 pages today", "3 sentences were wrong", "in words", "line 20", "", "words"],
)
def test_a_length_that_is_only_told_is_none_asked_for(text: str) -> None:
    assert answer_tokens(text) is None


REASONING = [
    "Think carefully.",
    "Solve it step by step",
    "step-by-step, please",
    "show your work",
    "use chain of thought",
]


@pytest.mark.parametrize("text", REASONING)
def test_reasoning_may_be_asked_for_in_words(text: str) -> None:
    assert asks_to_reason(text)


@pytest.mark.parametrize("text", ["I think so", "one step at a time", "the reason is", "it does not work"])
def test_a_word_of_thought_alone_asks_for_nothing(text: str) -> None:
    assert not asks_to_reason(text)


def test_no_pattern_matches_a_text_without_a_word_of_the_list() -> None:
    """Otherwise the turn would never be looked at."""
    for text in [*IMAGES, *(length for length, _ in LENGTHS), *REASONING]:
        assert not ASKING_WORDS.isdisjoint(re.findall("[a-z]+", text.lower())), text
