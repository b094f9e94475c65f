"""YAML that Envoy cannot misread."""

from __future__ import annotations

import pytest
import yaml

from signalbox.envoy.text import as_yaml


@pytest.mark.parametrize(
    "text", ["y", "n", "yes", "Off", "null", "~", "1e5", "0x10", "5s", "1_000", "", ".inf", "@type", "a: b"]
)
def test_text_that_a_parser_could_take_for_something_else_is_quoted(text: str) -> None:
    assert as_yaml({"value": text}) == f'value: "{text}"\n'


@pytest.mark.parametrize("text", ["STRICT_DNS", "type.googleapis.com/envoy.config.cluster.v3.Cluster", "gpt-5-mini"])
def test_plain_words_stay_readable(text: str) -> None:
    assert as_yaml({"value": text}) == f"value: {text}\n"


def test_scripts_are_written_as_they_are() -> None:
    assert as_yaml({"script": "local a = 1\nreturn a\n"}) == "script: |\n  local a = 1\n  return a\n"


def test_what_appears_twice_is_written_twice() -> None:
    shared = {"a": [1, 2]}
    text = as_yaml({"one": shared, "two": shared})
    assert "&" not in text
    assert yaml.safe_load(text) == {"one": shared, "two": shared}


def test_long_text_stays_on_one_line() -> None:
    assert as_yaml({"value": "word " * 10_000}).count("\n") == 1
