"""A worker takes a policy with the prices that came with it, and keeps the old one when the new one is of no use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from signalbox.control import Message
from signalbox.extproc.exchange import Exchange
from signalbox.prices.resolve import from_message, to_message
from signalbox.serve.surroundings import Surroundings
from signalbox.serve.worker import use_policy
from signalbox.types import Price
from tests.unit.decide.cases import MODELS, PROVIDERS
from tests.unit.extproc.envoy_messages import body_message, chat, record

PRICES = {"acme-large": Price(3, 15), "acme-mini": Price(0.2, 0.8, 0.1), "bolt-large": Price(0.01, 0.02, None)}


class Supervisor:
    """Hears what a worker says."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def send(self, message: Message) -> None:
        self.heard.append(message)


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[Surroundings]:
    made = Surroundings(tmp_path, failed=pytest.fail)
    yield made
    made.close()


def message(prices: dict[str, Price], **router: Any) -> Message:
    router = {"models": ["acme-mini", "bolt-large"], "prefer": "cheapest"} | router
    policy = {"version": 1, "providers": PROVIDERS, "models": MODELS, "routers": {"r": router}, "default_router": "r"}
    text = yaml.safe_dump(policy)
    told = {name: list(figures) for name, figures in to_message(prices).items()}  # as JSON would make them
    return {
        "type": "policy",
        "sha256": sha256(text.encode()).hexdigest(),
        "file": "policy.yaml",
        "text": text,
        "prices": told,
    }


def first(exchange: Exchange) -> str | None:
    return record(exchange.answer(body_message(chat())).message).chain[0].model


def test_prices_come_through_the_pipe_as_they_were() -> None:
    assert from_message(message(PRICES)["prices"]) == PRICES


@pytest.mark.parametrize(("prices", "cheapest"), [(PRICES, "bolt-large"), ({}, "acme-mini")])
def test_a_worker_decides_with_the_prices_it_was_told(
    surroundings: Surroundings, prices: dict[str, Price], cheapest: str
) -> None:
    exchange, supervisor, told = Exchange(), Supervisor(), message(prices)
    use_policy(exchange, told, supervisor, surroundings)  # type: ignore[arg-type]
    assert first(exchange) == cheapest
    assert supervisor.heard == [{"type": "policy", "sha256": told["sha256"]}]


def test_a_policy_of_no_use_leaves_the_old_one_and_its_store(surroundings: Surroundings, tmp_path: Path) -> None:
    exchange, supervisor = Exchange(), Supervisor()
    use_policy(exchange, message(PRICES, affinity={}), supervisor, surroundings)  # type: ignore[arg-type]
    use_policy(exchange, message({}, models=["nobody"]), supervisor, surroundings)  # type: ignore[arg-type]
    assert [heard["type"] for heard in supervisor.heard] == ["policy", "policy_failed"]
    assert "nobody" in supervisor.heard[1]["error"]
    assert first(exchange) == "bolt-large"
    assert (tmp_path / "state.sqlite").exists()


def test_only_a_policy_with_something_to_remember_opens_a_store(surroundings: Surroundings, tmp_path: Path) -> None:
    use_policy(Exchange(), message(PRICES), Supervisor(), surroundings)  # type: ignore[arg-type]
    assert not (tmp_path / "state.sqlite").exists()


def test_a_worker_loads_neither_the_catalogue_nor_a_client_of_redis() -> None:
    code = "import sys, signalbox.serve.worker; print(sorted({'genai_prices', 'redis', 'aiohttp'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
