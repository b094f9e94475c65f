from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .benches import EmbeddedBench, RedisBench, StoreBench
from .redis_server import RedisServer


@pytest.fixture(scope="session")
def shared_server() -> Iterator[RedisServer]:
    """For tests that leave it running. Its directory has a short name: a socket's path must fit in 108 bytes."""
    with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory)) as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """Not started; for tests that stop it."""
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory))
        yield server
        server.kill()


@pytest.fixture(params=["embedded", "redis"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreBench]:
    made: EmbeddedBench | RedisBench
    if request.param == "embedded":
        made = EmbeddedBench(tmp_path)
    else:
        made = RedisBench(request.getfixturevalue("shared_server"))
        made.clear()
    yield made
    made.close()
