"""Prices of a policy: its own, then the catalogue's."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from signalbox.prices.catalogue import look_up
from signalbox.prices.resolve import resolve
from signalbox.types import Price

from .policies import policy

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
EVENING = datetime(2026, 7, 1, 20, tzinfo=UTC).timestamp()


def test_the_policys_own_price_comes_before_the_catalogues():
    models = {"gpt-5-mini": {"provider": "openai", "price": {"input": 9, "output": 9, "cached_input": 1}}}
    assert resolve(policy(models)) == {"gpt-5-mini": Price(9, 9, 1)}


def test_zero_in_the_policy_means_free():
    models = {"own": {"provider": "home", "price": {"input": 0, "output": 0}}}
    assert resolve(policy(models)) == {"own": Price(0, 0)}


def test_the_catalogue_knows_a_model_by_what_its_provider_calls_it():
    prices = resolve(policy({"small": {"provider": "openai", "name": "gpt-5-mini"}}), NOON)
    assert prices == {"small": Price(0.25, 2, 0.025)}


def test_behind_a_gateway_of_ones_own_the_providers_name_tells_who_it_is():
    providers = {"anthropic": {"endpoint": "https://llm.corp.example/claude", "dialect": "anthropic"}}
    models = {"claude-sonnet-4-5": {"provider": "anthropic"}, "gpt-5": {"provider": "gateway"}}
    assert resolve(policy(models, providers), NOON) == {"claude-sonnet-4-5": Price(3, 15, 0.3)}


def test_a_model_nobody_knows_has_no_price():
    assert resolve(policy({"no-such-model": {"provider": "openai"}})) == {}


def test_a_local_model_has_no_price_whatever_it_is_called():
    assert resolve(policy({"gpt-5": {"provider": "home"}})) == {}


def test_the_catalogue_can_be_switched_off():
    assert resolve(policy({"gpt-5": {"provider": "openai"}}, prices={"catalogue": False})) == {}


def test_a_model_that_only_embeds_needs_no_price_for_output():
    models = {"text-embedding-3-small": {"provider": "openai", "endpoints": ["embeddings"]}}
    assert resolve(policy(models), NOON) == {"text-embedding-3-small": Price(0.02, 0)}
    assert resolve(policy({"text-embedding-3-small": {"provider": "openai"}}), NOON) == {}


def test_of_prices_that_change_with_the_hour_the_highest_counts_at_any_hour():
    noon, evening = (look_up("deepseek-chat", "https://api.deepseek.com/v1", "", at) for at in (NOON, EVENING))
    assert noon == evening
    assert noon is not None


@pytest.mark.parametrize(
    ("input_mtok", "output_mtok"), [("NaN", "2"), ("-1", "2"), ("0", "0"), ("3", "0.000015"), ("20000", "2")]
)
def test_nonsense_in_the_catalogue_is_an_unknown_price(input_mtok, output_mtok):
    from decimal import Decimal

    from genai_prices import data_snapshot, types

    model = types.ModelInfo(
        id="odd",
        match=types.ClauseEquals("odd"),
        prices=types.ModelPrice(input_mtok=Decimal(input_mtok), output_mtok=Decimal(output_mtok)),
    )
    provider = types.Provider(id="odd", name="Odd", api_pattern=r"https://api\.odd\.example", models=[model])
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot([provider], from_auto_update=False))
    try:
        assert look_up("odd", "https://api.odd.example/v1", "odd", NOON) is None
    finally:
        data_snapshot.set_custom_snapshot(None)


def test_a_policy_that_gives_every_price_never_loads_the_catalogue():
    program = """
import sys
from tests.unit.prices.policies import policy
from signalbox.prices.resolve import resolve
resolve(policy({"a": {"provider": "openai", "price": {"input": 1, "output": 2}}, "b": {"provider": "home"}}))
assert "genai_prices" not in sys.modules
resolve(policy({"gpt-5": {"provider": "openai"}}))
assert "genai_prices" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
