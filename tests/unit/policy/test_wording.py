"""How problems spell places, names and values."""

from __future__ import annotations

import pytest

from signalbox.policy.wording import SHOWN_CHARS, listed, mask, nearest, path_text, quoted


def test_places_are_written_as_paths_and_odd_keys_in_brackets() -> None:
    assert path_text(("routers", "code", "tasks", 2, "models", 0)) == "routers.code.tasks[2].models[0]"
    assert path_text(("models", "gpt-4.1", "name")) == 'models["gpt-4.1"].name'
    assert path_text(()) == ""


def test_long_values_are_shortened_and_line_breaks_escaped() -> None:
    assert len(quoted("x " * 500)) == SHOWN_CHARS + 2
    assert quoted("a\nb") == '"a\\nb"'


def test_long_lists_of_names_end_in_a_count() -> None:
    assert listed(f"m{n}" for n in range(20)).endswith("m11 and 8 more")


def test_the_nearest_of_many_names_is_found_whatever_is_misspelt_in_it() -> None:
    known = [f"{family}-{size}" for family in ("gpt-5", "claude", "qwen3", "llama") for size in range(100)]
    assert nearest("gtp-5-42", known) == "gpt-5-42"
    assert nearest("CLAUDE-42", known) == "claude-42"
    assert nearest("qwen3-4x2", known) in ("qwen3-42", "qwen3-4", "qwen3-2")
    assert nearest("unrelated", known) is None


@pytest.mark.parametrize(
    "harmless",
    ["gpt-5-mini", "llama-3.1-405b-instruct-fp8-turbo", "qwen/Qwen3-8B", "https://api.openai.com/v1", "400k"],
)
def test_names_of_models_and_plain_urls_are_not_mistaken_for_secrets(harmless: str) -> None:
    assert mask(harmless) == harmless
