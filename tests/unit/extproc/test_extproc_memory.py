"""What a large request costs in memory: its own bytes once, and little beside them."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from signalbox.extproc.exchange import Exchange

from .decisions import exchange as make_exchange
from .envoy_messages import body_message, headers_message

MB = 1024 * 1024


def chat_of(size_bytes: int, messages: int) -> bytes:
    """A chat of about `size_bytes`, every turn as long as the others and with a newline in each of its lines."""
    line = "Please look at this line of the log, and at the one after it.\n"
    content = line * (size_bytes // messages // (len(line) + 1))
    turns = [{"role": "assistant" if n % 2 else "user", "content": content} for n in range(messages)]
    return json.dumps({"model": "auto", "messages": turns}).encode()


@pytest.fixture
def exchange() -> Exchange:
    return make_exchange()


def peak_bytes(exchange: Exchange, *messages: bytes) -> int:
    """Most bytes that answering allocated at a time, the messages themselves and the replies' own bytes included."""
    exchange.answer(body_message(b'{"model":"auto","messages":[{"role":"user"}]}'))  # what is made once is made
    tracemalloc.start()
    try:
        conversation = None
        for message in messages:
            reply = exchange.answer(message, conversation)
            conversation = reply.conversation
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_conversation_costs_its_longest_turn_and_little_more(exchange: Exchange) -> None:
    body = chat_of(16 * MB, messages=41)
    assert peak_bytes(exchange, body_message(body)) < 0.1 * len(body)


def test_one_turn_of_16_mb_is_written_out_once(exchange: Exchange) -> None:
    body = chat_of(16 * MB, messages=1)
    assert peak_bytes(exchange, body_message(body)) < len(body)


def test_base64_is_never_written_out(exchange: Exchange) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * (10 * MB // 8)}}
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": [image]}]}).encode()
    assert peak_bytes(exchange, body_message(body)) < 0.01 * len(body)


def test_by_headers_the_new_body_is_built_once(exchange: Exchange) -> None:
    body = chat_of(16 * MB, messages=41)
    assert peak_bytes(exchange, headers_message(), body_message(body)) < 1.1 * len(body)


@pytest.mark.parametrize(("messages", "most"), [(41, 0.2), (1, 0.99)])
def test_a_process_that_answers_16_mb_grows_by_less_than_the_body(messages: int, most: float) -> None:
    """By the operating system's count: together with the message that makes less than two bodies."""
    code = """
import sys
from tests.unit.extproc.decisions import exchange as make_exchange
from tests.unit.extproc.envoy_messages import body_message
from tests.unit.extproc.test_extproc_memory import chat_of
exchange = make_exchange()
def peak_bytes():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024
body = chat_of(16 * 2**20, messages=int(sys.argv[1]))
message = body_message(body)
exchange.answer(body_message(chat_of(1000, messages=3)))
with open("/proc/self/clear_refs", "w") as clear:
    clear.write("5")  # the peak so far is forgotten
before = peak_bytes()
reply = exchange.answer(message)
assert reply.message and reply.conversation is None
print(peak_bytes() - before, len(body))
"""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, str(messages)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert run.returncode == 0, run.stderr
    grown, size = map(int, run.stdout.split())
    assert grown < most * size
