"""Several processes at once get one answer."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path

import pytest

from .contenders import NOW, claim_all, hold_all, open_one, settle_all
from .redis_server import RedisServer

PROCESSES = 8


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    pool = multiprocessing.get_context("spawn").Pool(PROCESSES)
    yield pool
    pool.close()
    pool.join()


@pytest.fixture(params=["embedded", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "embedded":
        return str(tmp_path / "state.sqlite")
    server: RedisServer = request.getfixturevalue("shared_server")
    with server.client() as client:
        client.flushall()
    return server.url


def test_a_limit_is_never_exceeded_by_more_than_one_hold_and_the_sum_is_exact(pool: Pool, where: str) -> None:
    amount, limit = 7, 1000
    granted = pool.starmap(hold_all, [(where, f"p{number}", 40, amount, limit) for number in range(PROCESSES)], 1)
    requests = [request for each in granted for request in each]
    store = open_one(where)
    assert store.spent("budget", NOW) == (0, amount * len(requests))
    assert limit <= amount * len(requests) < limit + amount

    amounts = [(request, number % 5) for number, request in enumerate(requests)]
    # Everyone settles everything: each request counts once.
    pool.starmap(settle_all, [(where, amounts)] * PROCESSES, 1)
    assert store.spent("budget", NOW) == (sum(amount for _, amount in amounts), 0)
    store.close()


def test_all_that_claim_a_session_at_once_are_told_one_model(pool: Pool, where: str) -> None:
    told = pool.starmap(claim_all, [(where, f"model-{number}", 50) for number in range(PROCESSES)], 1)
    for answers in zip(*told, strict=True):
        assert len({model for model, _ in answers}) == 1
        assert sorted(turns for _, turns in answers) == list(range(1, PROCESSES + 1))


def test_many_open_one_new_file_at_once(pool: Pool, tmp_path: Path) -> None:
    for number in range(5):
        told = pool.starmap(claim_all, [(str(tmp_path / f"{number}.sqlite"), "m", 1)] * PROCESSES, 1)
        assert sorted(turns for ((_, turns),) in told) == list(range(1, PROCESSES + 1))
