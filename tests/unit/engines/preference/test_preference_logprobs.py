"""Shares of routes from what a server reports of the tokens it wrote."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.engines.preference.logprobs import route_scores

LABELS = ["code", "code review", "chat", "other"]


def report(*tokens: tuple[str, float] | tuple[str, float, dict[str, float]]) -> dict[str, Any]:
    """A report of tokens, each with its probability and those of its alternatives."""
    return {
        "content": [
            {
                "token": text,
                "logprob": math.log(probability),
                "bytes": list(text.encode()),
                "top_logprobs": [
                    {"token": other, "logprob": math.log(share), "bytes": list(other.encode())}
                    for other, share in (*(more[0] if more else {}).items(), (text, probability))
                ],
            }
            for text, probability, *more in tokens
        ]
    }


def scores(content: str, *tokens: Any) -> dict[str, float]:
    return dict(route_scores(report(*tokens), content, content.rindex("code"), LABELS))


def test_probability_divides_among_the_names_that_each_alternative_leads_to() -> None:
    found = scores(
        '{"route": "code"}',
        ('{"', 1.0),
        ('route": "', 1.0),
        ("code", 0.6, {"chat": 0.2, "ch": 0.05, "other": 0.1, "banana": 0.05}),
        ('"}', 0.5, {" review": 0.25, "x": 0.2}),
    )
    assert found == pytest.approx({"code": 0.6 / 0.95 * 2 / 3, "code review": 0.6 / 0.95 / 3, "chat": 0.25 / 0.95,
                                   "other": 0.1 / 0.95})  # fmt: skip
    assert sum(found.values()) == pytest.approx(1)


def test_a_quote_may_be_one_token_with_the_name() -> None:
    found = scores('{"route": "code"}', ('{"route":', 1.0), (' "code', 0.75, {' "chat': 0.25, " [": 0.1}), ('"}', 1.0))
    assert found == pytest.approx({"code": 0.75, "chat": 0.25, "code review": 0.0, "other": 0.0})


def test_tokens_may_end_inside_a_character() -> None:
    whole = "été".encode()
    tokens = [b'{"route": "', whole[:1], whole[1:], b'"}']
    reported = {"content": [{"token": "?", "bytes": list(token), "logprob": 0.0} for token in tokens]}
    assert route_scores(reported, '{"route": "été"}', 11, ["été", "chat"]) == (("été", 1.0), ("chat", 0.0))


def test_names_in_escapes_are_compared_in_escapes() -> None:
    reported = report(('{"route": "', 1.0), ("\\u00fc", 0.5, {"chat": 0.5}), ("ben", 1.0), ('"}', 1.0))
    assert dict(route_scores(reported, '{"route": "\\u00fcben"}', 11, ["üben", "chat"])) == {"üben": 0.5, "chat": 0.5}


@pytest.mark.parametrize(
    "reported",
    [
        None,
        [],
        {},
        {"content": None},
        {"content": [{"token": "x"}]},
        {"content": [{"token": '{"route": "code"}', "logprob": "much"}]},
        {"content": [{"token": '{"route": "code"}', "logprob": float("nan")}]},
        {"content": [{"token": "{", "logprob": 0, "bytes": [999]}]},
        {"content": [{"token": "{", "logprob": 0, "bytes": 10**15}]},
        {"content": [{"token": "something else", "logprob": 0}]},
        {"content": [{"token": '{"route": "code', "logprob": 0}]},
        {"content": [7]},
    ],
)
def test_a_report_that_does_not_fit_tells_nothing(reported: Any) -> None:
    assert route_scores(reported, '{"route": "code"}', 11, LABELS) == ()


@given(st.sampled_from(LABELS), st.data())
def test_however_an_answer_is_cut_into_tokens_the_shares_sum_to_one(label: str, data: st.DataObject) -> None:
    content = json.dumps({"route": label})
    cuts = sorted(data.draw(st.sets(st.integers(1, len(content) - 1))))
    texts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    others = st.dictionaries(st.sampled_from(["c", "co", "chat", "o", "code", '"', " ", "{"]), st.just(0.1), max_size=3)
    tokens = [(text, 0.5, data.draw(others)) for text in texts]
    found = route_scores(report(*tokens), content, 11, LABELS)
    assert {name for name, _ in found} == set(LABELS)
    assert sum(share for _, share in found) == pytest.approx(1)
    assert all(found[0][1] >= share >= 0 for _, share in found)
