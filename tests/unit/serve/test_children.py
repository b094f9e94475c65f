"""A supervised process is greeted, heard, restarted when it dies, and stopped when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from signalbox.control import Message
from signalbox.serve.children import Child, ChildState

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def make_child(mode: str, heard: list[Message]) -> Child:
    return Child(
        "test",
        "tests.unit.serve.obedient",
        [mode],
        greeting=lambda: [{"type": "hello", "number": 1}],
        heard=lambda _child, message: heard.append(message),
    )


async def until(ready: Callable[[], bool]) -> None:
    for _ in range(1000):
        if ready():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never happened")


def test_a_child_is_greeted_and_heard_and_ends_without_a_successor_when_stopped() -> None:
    heard: list[Message] = []

    async def run() -> Child:
        child = make_child("obey", heard)
        task = asyncio.create_task(child.run())
        await until(lambda: len(heard) == 2)
        assert child.state is ChildState.READY
        child.stop()
        await asyncio.wait_for(task, 10)
        return child

    child = asyncio.run(run())
    assert [message["type"] for message in heard] == ["ready", "heard"]
    assert heard[1]["what"] == {"type": "hello", "number": 1}
    assert (child.state, child.restarts) == (ChildState.STOPPED, 0)


def test_a_child_that_dies_is_replaced_and_its_successor_is_greeted_anew() -> None:
    heard: list[Message] = []

    async def run() -> Child:
        child = make_child("obey", heard)
        task = asyncio.create_task(child.run())
        await until(lambda: len(heard) == 2)
        child.send({"type": "die"})
        await until(lambda: len(heard) == 4)
        child.stop()
        await asyncio.wait_for(task, 10)
        return child

    child = asyncio.run(run())
    assert child.restarts == 1
    pids = [message["pid"] for message in heard if message["type"] == "ready"]
    assert len(set(pids)) == 2


def test_what_a_child_said_before_it_gave_up_is_kept() -> None:
    async def run() -> str | None:
        child = make_child("refuse", [])
        task = asyncio.create_task(child.run())
        await until(lambda: child.fatal is not None)
        child.stop()
        await asyncio.wait_for(task, 10)
        return child.fatal

    assert asyncio.run(run()) == "the port is taken"
