"""The collector process: access log in, metrics and log lines out, under the supervisor's control.

    python -m signalbox.collector --socket PATH --api HOST:PORT --control-fd N

Started by the supervisor only; `signalbox.control` says what the two tell each other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from signalbox.collector.api import start_api
from signalbox.collector.live.publish import Publisher
from signalbox.collector.log import LogWriter
from signalbox.collector.metrics import Metrics
from signalbox.collector.outside import Outside
from signalbox.collector.receiver import start_receiver
from signalbox.collector.sources.telling import Teller
from signalbox.collector.state import Collector
from signalbox.control import MAX_LINE_BYTES, Message, encode
from signalbox.errors import PolicyError, SetupError
from signalbox.label import Label
from signalbox.policy.load import load_text
from signalbox.prices.resolve import from_message

TICK_SECONDS = 0.25
LAST_ENTRIES_SECONDS = 0.3  # three of Envoy's flush intervals: how the last requests ended is still on its way


async def run_collector(socket_path: str, api_host: str, api_port: int, control_fd: int) -> None:
    """Serve until SIGTERM or until the supervisor is gone.

    api_port: 0 takes a free one; the `ready` message says which.
    Raises SetupError if the socket or the address cannot be used; the supervisor is told first.
    """
    os.set_inheritable(control_fd, False)
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=control_fd), limit=MAX_LINE_BYTES)
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    # Ctrl-C in a terminal reaches the whole process group; the supervisor alone decides what happens then.
    loop.add_signal_handler(signal.SIGINT, lambda: None)

    log = LogWriter(sys.stdout.fileno())
    run_dir, metrics = Path(socket_path).parent, Metrics()
    outside = Outside(run_dir, Teller(metrics, log.write))
    publisher = Publisher(run_dir, time.time, time.monotonic)
    collector = Collector(metrics, log, publisher=publisher, outside=outside)
    async with AsyncExitStack() as ending:  # last in, first ended: no more entries, then the last lines, then the API
        ending.push_async_callback(_hang_up, writer)
        try:
            api, port = await start_api(collector, api_host, api_port, run_dir)
            ending.push_async_callback(api.cleanup)
            log.start()
            ending.callback(log.close)
            ending.push_async_callback(outside.close)
            ending.callback(collector.close)
            ending.callback(collector.drain)
            receiver = await start_receiver(collector, socket_path)
            ending.push_async_callback(receiver.stop, 0)
        except SetupError as problem:
            writer.write(encode({"type": "fatal", "error": str(problem)}))
            raise
        writer.write(encode({"type": "ready", "api_port": port}))
        await _first_to_end(_follow(reader, writer, collector), _tick_forever(collector), asked_to_stop.wait())
        if asked_to_stop.is_set():  # by a supervisor that has stopped everybody else before
            await asyncio.sleep(LAST_ENTRIES_SECONDS)


async def _first_to_end(*duties: Coroutine[Any, Any, object]) -> None:
    """Run all until one ends, and end the others. Raises what it raised: a successor is started then."""
    tasks = [asyncio.create_task(duty) for duty in duties]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for ending in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ending, Exception):
            raise ending


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):  # the supervisor may have gone first
        await writer.wait_closed()


async def _tick_forever(collector: Collector) -> None:
    while True:
        await asyncio.sleep(TICK_SECONDS)
        collector.tick()


async def _follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, collector: Collector) -> None:
    """Apply what the supervisor sends, until it is gone."""
    try:
        while line := await reader.readline():
            answer = apply(json.loads(line), collector)
            if answer is not None:
                writer.write(encode(answer))
    except ConnectionError:
        pass  # gone without a goodbye


def apply(message: Message, collector: Collector) -> Message | None:
    """Apply one message of the supervisor. Returns what to answer, if anything."""
    if message["type"] == "status":
        collector.apply_status(message)
        return None
    if message["type"] == "label":
        with suppress(msgspec.ValidationError):  # from another release, during an upgrade
            collector.label(msgspec.convert(message["label"], Label))
        return None
    if message["type"] != "policy":
        return None  # from a newer supervisor, during an upgrade
    sha256 = message["sha256"]
    try:
        loaded = load_text(message["text"].encode(), message["file"])
    except PolicyError as problem:
        return {"type": "policy_failed", "sha256": sha256, "error": str(problem)}
    collector.apply_policy(loaded.policy, sha256, from_message(message["prices"]))
    return {"type": "policy", "sha256": sha256}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="signalbox.collector", description="Access log in, metrics out.")
    parser.add_argument("--socket", required=True, metavar="PATH")
    parser.add_argument("--api", required=True, metavar="HOST:PORT")
    parser.add_argument("--control-fd", required=True, type=int, metavar="N")
    options = parser.parse_args(arguments)
    host, _, port = options.api.rpartition(":")
    try:
        asyncio.run(run_collector(options.socket, host.strip("[]"), int(port), options.control_fd))
    except SetupError as problem:
        print(f"signalbox: {problem}", file=sys.stderr)
        return 1
    return 0
