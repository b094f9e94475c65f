"""Price lists of the web, in the two shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.errors import SignalError
from signalbox.prices.lists import PriceList, find, read, sections_of
from signalbox.types import Price

MODELS_DEV: dict[str, Any] = {
    "openai": {
        "id": "openai",
        "npm": "@ai-sdk/openai",
        "models": {
            "gpt-5": {"id": "gpt-5", "cost": {"input": 1.25, "output": 10, "cache_read": 0.125}, "limit": {}},
            "gpt-free": {"id": "gpt-free", "cost": {"input": 0, "output": 0}},
            "gpt-new": {"id": "gpt-new"},
        },
    },
    "Acme": {
        "id": "Acme",
        "api": "https://api.acme.example/v1",
        "models": {"Meta/Llama-3": {"cost": {"input": 0.5, "output": 0.8}}},
    },
    "acme-plan": {
        "api": "https://API.acme.example/plan",
        "models": {"meta/llama-3": {"cost": {"input": 2, "output": 4}}},
    },
}
DIGITALOCEAN: dict[str, Any] = {
    "data": [
        {
            "model_id": "kimi-k2.5",
            "name": "Kimi K2.5",
            "pricing": {
                "input_price_per_million": 0.000000375,
                "output_price_per_million": 0.000002025,
                "cache_read_input_price_per_million": 0.000000203,
            },
        },
        {
            "model_id": "as-named",
            "pricing": {"input_price_per_million": 0.375, "output_price_per_million": 2.025},
        },
        {"model_id": "bge-m3", "pricing": None},
    ],
    "meta": {"page": 1, "pages": 1, "total": 3},
}


def models_dev(document: Any) -> PriceList:
    return read(json.dumps(document).encode(), "models_dev")


def test_models_dev_is_read_provider_by_provider():
    found = models_dev(MODELS_DEV)
    assert found.prices == {
        ("openai", "gpt-5"): Price(1.25, 10, 0.125),
        ("acme", "meta/llama-3"): Price(0.5, 0.8),
        ("acme-plan", "meta/llama-3"): Price(2, 4),
    }
    assert found.absurd == frozenset()


def test_a_provider_is_found_by_the_host_of_its_api_before_its_name():
    hosts = models_dev(MODELS_DEV).hosts
    assert sections_of(hosts, "api.openai.com", "whatever") == ("openai",)
    assert sections_of(hosts, "api.acme.example", "openai") == ("acme", "acme-plan")
    assert sections_of(hosts, "llm.corp.example", "OpenAI".lower()) == ("openai",)


def test_where_one_host_has_several_prices_the_dearest_counts():
    found = models_dev(MODELS_DEV)
    assert find(found.prices, ("acme", "acme-plan"), "Meta/llama-3") == Price(2, 4)
    assert find(found.prices, ("openai",), "meta/llama-3") is None


def test_digitalocean_figures_are_per_million_whether_they_come_per_token_or_not():
    found = read(json.dumps(DIGITALOCEAN).encode(), "digitalocean")
    assert found.prices == {
        ("digitalocean", "kimi-k2.5"): Price(0.375, 2.025, 0.203),
        ("digitalocean", "as-named"): Price(0.375, 2.025),
    }
    assert sections_of(found.hosts, "inference.do-ai.run", "gradient") == ("digitalocean",)


@pytest.mark.parametrize(
    "cost",
    [
        {"input": -1, "output": 2},
        {"input": 1, "output": 1e9},
        {"input": 10**400, "output": 2},
        {"input": "NaN", "output": 2},
        {"input": 3, "output": 1e-6},
        7,
    ],
)
def test_one_absurd_entry_costs_only_itself(cost):
    document = MODELS_DEV | {"mixed": {"models": {"bad": {"cost": cost}, "good": {"cost": {"input": 1, "output": 2}}}}}
    found = models_dev(document)
    assert found.absurd == {("mixed", "bad")}
    assert ("mixed", "good") in found.prices
    assert len(found.prices) == 4


def test_a_section_of_the_wrong_type_costs_only_itself():
    assert len(models_dev(MODELS_DEV | {"odd": [1], "odder": {"models": 3}, "oddest": None}).prices) == 3


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"text"', b"<html>", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000]
)
@pytest.mark.parametrize("form", ["models_dev", "digitalocean"])
def test_what_is_no_list_is_refused(body, form):
    with pytest.raises(SignalError, match="not a price list"):
        read(body, form)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["models", "cost", "input", "output", "api", "data", "pricing", "x"]), inner)
    ),
    max_leaves=20,
)


@given(values, st.sampled_from(["models_dev", "digitalocean"]))
def test_any_json_is_a_list_or_refused(document, form):
    try:
        found = read(json.dumps(document).encode(), form)
    except SignalError:
        return
    assert all(price.input_usd_per_mtok > 0 for price in found.prices.values())
