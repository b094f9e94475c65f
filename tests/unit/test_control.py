"""The pipe between the supervisor and its children."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from signalbox.control import ChildEnd, encode


@pytest.fixture
def pipe() -> Iterator[tuple[socket.socket, ChildEnd]]:
    ours, theirs = socket.socketpair()
    child = ChildEnd(theirs.detach())
    yield ours, child
    child.close()
    ours.close()


def test_messages_arrive_in_order_and_whole_whatever_they_contain(pipe) -> None:
    ours, child = pipe
    sent = [{"type": "policy", "text": "a: 1\n# \u00e9\U0001f389\n" * 5000}, {"type": "status", "ready": 2}]
    with ours:
        for message in sent[1:]:
            ours.sendall(encode(message))
        messages = child.messages()
        assert next(messages) == sent[1]
        ours.settimeout(5)
        child.send(sent[1])
        assert ours.recv(1000) == encode(sent[1])


def test_a_large_policy_comes_through_in_one_message(pipe) -> None:
    ours, child = pipe
    with ours:
        text = "x" * 60_000
        ours.sendall(encode({"type": "policy", "text": text}))
        assert next(child.messages())["text"] == text


def test_the_messages_end_when_the_supervisor_is_gone(pipe) -> None:
    ours, child = pipe
    ours.sendall(encode({"type": "status"}))
    ours.close()
    assert list(child.messages()) == [{"type": "status"}]


def test_a_child_can_still_speak_when_nobody_listens(pipe) -> None:
    ours, child = pipe
    ours.close()
    child.send({"type": "ready"})
    child.send({"type": "ready"})
