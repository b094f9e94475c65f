"""A policy says where state is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from signalbox.policy.world import Redis, State
from signalbox.store.embedded import EmbeddedStore
from signalbox.store.link import connection_maker
from signalbox.store.open import open_store
from signalbox.store.shared import RedisStore
from signalbox.world import Pin

from .redis_server import RedisServer


def test_by_default_state_is_kept_in_the_run_directory(tmp_path: Path) -> None:
    store = open_store(State(), tmp_path)
    assert isinstance(store, EmbeddedStore)
    assert store.claim("s", "large", 60) == Pin("large", 1)
    store.close()
    assert (tmp_path / "state.sqlite").stat().st_size > 0


def test_a_policy_that_names_a_server_keeps_state_there(tmp_path: Path, shared_server: RedisServer) -> None:
    store = open_store(State(redis=shared_server.settings(prefix="other:")), tmp_path)
    assert isinstance(store, RedisStore)
    store.claim("open", "large", 60)
    store.close()
    with shared_server.client() as client:
        assert client.exists("other:pin:open")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("redis://redis", {"host": "redis", "port": 6379, "db": 0}),
        ("redis://user@redis:6380/15", {"host": "redis", "port": 6380, "db": 15, "username": "user"}),
        ("rediss://[::1]:6380/2?ssl_ca_certs=/etc/ca.pem", {"host": "::1", "db": 2, "ca_certs": "/etc/ca.pem"}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock", "db": 0}),
        ("unix:///run/redis.sock?db=3", {"path": "/run/redis.sock", "db": 3}),
    ],
)
def test_a_url_is_taken_apart(url: str, parts: dict[str, object]) -> None:
    made = connection_maker(Redis(url=url))()
    assert {name: getattr(made, name) for name in parts} == parts


@pytest.mark.parametrize(
    "url",
    [
        "http://redis",
        "redis://",
        "unix://",
        "redis://user:secret@redis",
        "redis://redis?socket_timeout=10",
        "redis://redis?password=secret",
        "rediss://redis?ssl_cert_reqs=none",
        "redis://redis/name",
        "redis://redis:port",
        "unix:///run/redis.sock?db=x",
    ],
)
def test_urls_that_would_be_taken_for_something_else_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Redis(url=url)
