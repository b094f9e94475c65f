"""A Redis that is down, slow or wrong costs a time budget now and then, and never an exception of another kind."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signalbox.policy.world import Redis
from signalbox.store.base import StoreError
from signalbox.store.shared import RedisStore
from signalbox.world import Hold, Pin
from tests.dataplane.certificates import Authority

from .fake_redis import FakeRedis, drips, hangs_up, is_silent, says
from .redis_server import RedisServer

NOW = 1_760_000_000.0
PONG = says(b"+PONG\r\n")


def fault(operation: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as caught:
        operation()
    return caught.value.kind


def until_it_answers(store: RedisStore, seconds: float = 20) -> Pin | None:
    """Ask until there is an answer; returns it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return store.pin("s", 60)
        except StoreError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def server(shared_server: RedisServer) -> RedisServer:
    with shared_server.client() as client:
        client.flushall()
    return shared_server


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(server.settings())
    yield store
    store.close()


def test_a_server_that_comes_up_later_is_found(own_server: RedisServer) -> None:
    store = RedisStore(own_server.settings())
    assert fault(lambda: store.pin("s", 60)) == "down"
    own_server.start()
    assert until_it_answers(store) is None
    store.close()


def test_a_server_that_is_killed_and_started_again_is_found_again(own_server: RedisServer) -> None:
    own_server.start()
    store = RedisStore(own_server.settings())
    store.claim("s", "large", 60)
    own_server.kill()
    assert {fault(lambda: store.pin("s", 60)) for _ in range(3)} == {"down"}
    own_server.start()
    assert until_it_answers(store) is None
    assert store.claim("s", "small", 60) == Pin("small", 1)  # the scripts are known again, too
    store.close()


def test_a_server_that_stands_still_is_late_once_and_then_down_at_once(own_server: RedisServer) -> None:
    own_server.start()
    store = RedisStore(own_server.settings(timeout_ms=100))
    until_it_answers(store)
    own_server.pause(True)
    assert fault(lambda: store.pin("s", 60)) == "late"
    waits = []
    for _ in range(20):
        begun = time.perf_counter()
        assert fault(lambda: store.pin("s", 60)) == "down"
        waits.append(time.perf_counter() - begun)
    assert min(waits) < 0.001
    own_server.pause(False)
    until_it_answers(store)
    store.close()


@pytest.mark.parametrize("other", [is_silent, drips])
def test_nobody_waits_for_longer_than_the_time_budget(other: Callable[..., None]) -> None:
    with FakeRedis(PONG, other) as fake:
        waits = []
        for _ in range(5):
            store = RedisStore(Redis(url=fake.url, timeout_ms=50))
            begun = time.perf_counter()
            assert fault(lambda store=store: store.pin("s", 60)) == "late"
            waits.append(time.perf_counter() - begun)
            store.close()
        assert 0.045 < min(waits) < 0.052  # the best of them: the machine is busy with other things, too


def test_a_script_the_server_forgot_is_sent_within_the_same_budget() -> None:
    def forgets(connection: object, request: bytes) -> None:
        if b"EVALSHA" in request:
            time.sleep(0.03)
            says(b"-NOSCRIPT No matching script.\r\n")(connection, request)  # type: ignore[arg-type]

    with FakeRedis(PONG, forgets) as fake:
        waits = []
        for _ in range(5):
            store = RedisStore(Redis(url=fake.url, timeout_ms=50))
            begun = time.perf_counter()
            assert fault(lambda store=store: store.claim("s", "m", 60)) == "late"
            waits.append(time.perf_counter() - begun)
            store.close()
        assert min(waits) < 0.052


def test_a_server_that_never_answers_is_tried_ever_more_rarely() -> None:
    with FakeRedis(is_silent, is_silent) as fake:
        store = RedisStore(Redis(url=fake.url, timeout_ms=5))
        time.sleep(1.2)
        assert fault(lambda: store.pin("s", 60)) == "down"
        store.close()
    gaps = [later - sooner for sooner, later in zip(fake.connected_at, fake.connected_at[1:], strict=False)]
    assert 2 <= len(gaps) <= 5
    assert gaps[-1] > 2 * gaps[0]


def test_one_that_answers_pings_alone_is_tried_ever_more_rarely() -> None:
    with FakeRedis(PONG, hangs_up) as fake:
        store = RedisStore(Redis(url=fake.url, timeout_ms=50))
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert fault(lambda: store.pin("s", 60)) in ("down", "late")
            time.sleep(0.005)
        store.close()
    assert 3 <= len(fake.connected_at) <= 8


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n", b"-ERR max number of clients\r\n"]
)
def test_what_is_no_redis_is_down(greeting: bytes) -> None:
    with FakeRedis(says(greeting), says(greeting)) as fake:
        store = RedisStore(Redis(url=fake.url))
        assert fault(lambda: store.claim("s", "m", 60)) == "down"
        store.close()


@pytest.mark.parametrize(
    "answer",
    [b":1\r\n", b"*1\r\n:1\r\n", b"+\xff\r\n", b"$5\r\n1 2 3\r\n", b"$9\r\n1 1 1 \xff\xfe\xfd\r\n", b"?what\r\n"],
)
def test_an_answer_nobody_can_read_is_broken(answer: bytes) -> None:
    with FakeRedis(PONG, says(answer)) as fake:
        for operation in (
            lambda store: store.pin("s", 60),
            lambda store: store.claim("s", "m", 60),
            lambda store: store.spent("b", NOW),
        ):
            store = RedisStore(Redis(url=fake.url, timeout_ms=100))
            assert fault(lambda store=store, operation=operation: operation(store)) == "broken"
            store.close()


@pytest.mark.parametrize("value", [b"", b"large", b"1 2 large", b"-1 2 3 large", b"1 2 3 \xff"])
def test_a_pin_nobody_can_read_is_broken_until_it_is_claimed(
    server: RedisServer, store: RedisStore, value: bytes
) -> None:
    with server.client() as client:
        client.set("signalbox:pin:s", value)
    assert fault(lambda: store.pin("s", 60)) == "broken"
    if value != b"1 2 3 \xff":  # for the script, these are letters
        assert store.claim("s", "large", 60) == Pin("large", 1)
        assert store.pin("s", 60) == Pin("large", 1)


def test_a_value_of_another_type_is_broken_and_the_connection_stays(server: RedisServer, store: RedisStore) -> None:
    with server.client() as client:
        for key in ("pin:s", "{budgets}:total:b", "{budgets}:held:c", "{budgets}:request:r", "fact:f"):
            client.lpush(f"signalbox:{key}", "x")
    assert fault(lambda: store.pin("s", 60)) == "broken"
    assert fault(lambda: store.observe("s", "m", 1, 1)) == "broken"
    assert fault(lambda: store.get("f")) == "broken"
    assert fault(lambda: store.spent("b", NOW)) == "broken"
    assert fault(lambda: store.spent("c", NOW)) == "broken"
    for budget in ("b", "c", "d"):
        assert fault(lambda budget=budget: store.hold("r", [Hold(budget, 1, 9, NOW + 9)], NOW)) == "broken"
        assert fault(lambda budget=budget: store.settle("r", [(budget, 1)])) == "broken"
    assert store.claim("s", "large", 60) == Pin("large", 1)
    store.put("f", b"new")
    assert store.get("f") == b"new"


def test_what_was_spent_that_nobody_can_read_is_not_taken_for_nothing(server: RedisServer, store: RedisStore) -> None:
    with server.client() as client:
        client.hset("signalbox:{budgets}:total:b", "spent", "much")
    assert fault(lambda: store.settle("r", [("b", 1)])) == "broken"
    assert fault(lambda: store.spent("b", NOW)) == "broken"
    assert fault(lambda: store.hold("r", [Hold("b", 1, 9, NOW + 9)], NOW)) == "broken"


def test_scripts_the_server_forgot_are_sent_again(server: RedisServer, store: RedisStore) -> None:
    store.claim("s", "large", 60)
    with server.client() as client:
        client.script_flush()
    assert store.claim("s", "large", 60) == Pin("large", 2)


def test_a_connection_the_server_closed_is_made_anew(server: RedisServer, store: RedisStore) -> None:
    store.claim("s", "large", 60)
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert until_it_answers(store) == Pin("large", 1)


def test_a_full_server_still_tells_pins(own_server: RedisServer) -> None:
    own_server.start()
    store = RedisStore(own_server.settings())
    store.claim("s", "large", 60)
    with own_server.client() as client:
        client.config_set("maxmemory", "1")
    assert fault(lambda: store.claim("t", "large", 60)) == "down"
    assert store.pin("s", 60) == Pin("large", 1)
    store.close()


def test_a_server_that_became_a_replica_is_down_until_it_is_none(own_server: RedisServer) -> None:
    own_server.start()
    store = RedisStore(own_server.settings())
    with own_server.client() as client:
        client.replicaof("127.0.0.1", "1")
        assert fault(lambda: store.pin("s", 60)) == "down"
        client.replicaof("NO", "ONE")
    until_it_answers(store)
    store.close()


def test_a_password_is_read_from_its_file_whenever_it_connects(tmp_path: Path) -> None:
    file = tmp_path / "password"
    with (
        tempfile.TemporaryDirectory() as directory,
        RedisServer(Path(directory), "--requirepass", "first") as server,
    ):
        store = RedisStore(server.settings(password_file=str(file)))
        with pytest.raises(StoreError, match="No such file") as caught:
            store.pin("s", 60)
        assert caught.value.kind == "down"
        file.write_text("wrong\n")
        time.sleep(0.5)
        with pytest.raises(StoreError) as caught:
            store.pin("s", 60)
        assert "wrong" not in str(caught.value)
        file.write_text("first\n")
        assert until_it_answers(store) is None
        store.close()


def test_tls_is_spoken_and_the_certificate_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.sign("127.0.0.1")
    port = free_port()
    tls = ["--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(authority.file)]
    tls += ["--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.private_key)]
    with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory), *tls) as server:
        trusting = RedisStore(server.settings(url=f"rediss://127.0.0.1:{port}/1?ssl_ca_certs={authority.file}"))
        assert until_it_answers(trusting) is None
        assert trusting.claim("s", "large", 60) == Pin("large", 1)
        careful = RedisStore(server.settings(url=f"rediss://127.0.0.1:{port}"))
        with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
            careful.pin("s", 60)
        with server.client() as client:
            assert client.dbsize() == 0  # it went into the database the URL names
        trusting.close()
        careful.close()


def test_close_ends_the_thread_that_connects(own_server: RedisServer) -> None:
    store = RedisStore(own_server.settings())
    store.close()
    end = time.monotonic() + 5
    while any(thread.name == "redis-connect" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_every_key_expires(server: RedisServer, store: RedisStore) -> None:
    for number in range(50):
        store.claim(f"s{number}", "large", 60)
        store.observe(f"s{number}", "large", 5, 5)
        store.hold(f"r{number}", [Hold(f"b{number % 7}", 5, 1000, NOW + 900)], NOW)
        store.settle(f"r{number // 2}", [(f"b{number % 7}", 5)])
    store.put("f", b"1")
    with server.client() as client:
        keys = client.keys("*")
        assert len(keys) > 100
        assert all(key.startswith(b"signalbox:") for key in keys)
        assert [key for key in keys if client.ttl(key) < 1] == []
