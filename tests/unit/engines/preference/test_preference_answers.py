"""What is read of a model's answer, and that nothing is read into one."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from signalbox.engines.preference.answers import (
    AMBIGUOUS,
    NO_ROUTE,
    UNKNOWN_ROUTE,
    UNREADABLE,
    Reading,
    read_answer,
)

ROUTES = ("code", "code review", 'it\'s a "bug"', "don't know", "übersetzen", "a\\b")


def read(text: str) -> str | None:
    """The route, or the detail with a `-` in front."""
    reading = read_answer(text, ROUTES)
    assert (reading.route is None) == bool(reading.detail)
    return reading.route if reading.route is not None else f"-{reading.detail}"


@pytest.mark.parametrize(
    "text",
    [
        '{"route": "code"}',
        '{"route":"code"}\n',
        ' {"route": ["code"]} ',
        "{'route': 'code'}",
        "{'route': ['code', 'code review']}",
        '```json\n{"route": "code"}\n```',
        '```\n{"route": "code"}```',
        '```json\n{"route": "code"}',
        'Sure! The best route is {"route": "code"}.',
        '<think>not {"route": "code review"}?</think>\n{"route": "code"}',
        '{"route": "code"',
        '{"route": ["code", "code rev',
        '{"route": "code", "confidence": 0.9}',
        '{"intent": "x", "route": "code"}',
        '{"route": ["nonsense", "code"]}',
        '{"route": "route_name"} is the format, so: {"route": "code"}',
        '{"route": "code"}\n{"route": "code"}',
        "code",
        "`code`",
        '"code"',
        '["code"]',
        "code.",
        "```\ncode\n```",
    ],
)
def test_a_route_is_read_however_it_is_dressed(text: str) -> None:
    assert read(text) == "code"


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("{'route': 'don't know'}", "don't know"),
        ("{'route': 'don\\'t know'}", "don't know"),
        ('{"route": "don\'t know"}', "don't know"),
        ("{'route': ['don't know', 'code']}", "don't know"),
        ('{"route": "it\'s a \\"bug\\""}', 'it\'s a "bug"'),
        ('{"route": "it\'s a "bug""}', 'it\'s a "bug"'),
        ('{"route": "\\u00fcbersetzen"}', "übersetzen"),
        ('{"route": "übersetzen"}', "übersetzen"),
        ('{"route": "a\\\\b"}', "a\\b"),
        ('{"route": "a\\b"}', "a\\b"),
        ('{"route": "code review"}', "code review"),
        ("{'route': 'code review'", "code review"),
    ],
)
def test_names_with_quotes_and_backslashes_are_read_by_what_is_known_of_them(text: str, route: str) -> None:
    assert read(text) == route


@pytest.mark.parametrize(
    "text",
    [
        '{"route": "other"}',
        "{'route': 'other'}",
        '{"route": []}',
        '{"route": ""}',
        '{"route": null}',
        "{}",
        "other",
        '{"route": [""]}',
        '{"route": ["other"]}',
        "[]",
        "{'route': None}",
    ],
)
def test_no_route_is_an_answer(text: str) -> None:
    assert read(text) == f"-{NO_ROUTE}"


@pytest.mark.parametrize("text", ['{"route": "coding"}', '{"route": ["coding"]}', "{'route': 'Code'}"])
def test_a_name_that_nobody_described_is_unknown_and_not_corrected(text: str) -> None:
    assert read(text) == f"-{UNKNOWN_ROUTE}"


@pytest.mark.parametrize(
    "text",
    [
        '{"route": "code"} or {"route": "code review"}',
        '{"route": "other"} but maybe {"route": "code"}',
        "{'route': 'x'}" * 100,
    ],
)
def test_two_answers_are_none(text: str) -> None:
    assert read(text) == f"-{AMBIGUOUS}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        '{"route": 7}',
        '{"route": "code rev',
        '{"route"',
        "I would say code",
        '{"model": "code"}',
        "[7]",
        "'",
        "x" * 10000,
        '{"route": {"name": "code"}}',
        "<think>code",
    ],
)
def test_what_says_nothing_is_unreadable(text: str) -> None:
    assert read(text) == f"-{UNREADABLE}"


def test_a_route_that_is_called_other_is_a_route() -> None:
    assert read_answer('{"route": "other"}', ["other", "code"]) == Reading("other", "", 11)


def test_the_place_of_the_name_is_told() -> None:
    for text in ('{"route": "code"}', "{'route': ['code']}", "```\n code\n```", '<think>code</think> "code"'):
        reading = read_answer(text, ROUTES)
        assert text[reading.at :].startswith("code")
        assert reading.at == text.rindex("code")


names = st.text(min_size=1, max_size=12).filter(lambda name: name.strip() == name) | st.sampled_from(ROUTES)
routes = st.lists(names, min_size=1, max_size=5, unique=True)


@given(routes, st.data(), st.booleans(), st.booleans())
@example(["other"], None, False, False)
def test_every_name_in_json_is_read_back(
    routes: list[str], data: st.DataObject | None, ascii: bool, many: bool
) -> None:
    name = routes[0] if data is None else data.draw(st.sampled_from(routes))
    assume("</think>" not in name)
    text = json.dumps({"route": [name] if many else name}, ensure_ascii=ascii)
    assume(text.count('"route"') == 1 or "route" not in name)
    assert read_answer(text, routes).route == name


@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                '"route"',
                "'route'",
                ":",
                " ",
                "[",
                "]",
                "{",
                "}",
                '"',
                "'",
                "code",
                ",",
                "\\",
                "```",
                "\n",
                "other",
                "null",
                "don't know",
                "</think>",
            ]
        ),
        max_size=30,
    ).map("".join)
)
def test_any_text_is_read_without_an_error_and_only_known_routes_come_out(text: str) -> None:
    reading = read_answer(text, ROUTES)
    if reading.route is None:
        assert reading.detail in (NO_ROUTE, UNKNOWN_ROUTE, AMBIGUOUS, UNREADABLE)
    else:
        assert reading.route in ROUTES
        assert 0 <= reading.at < len(text)
