"""One worker: one unix socket, one policy at a time, one answer per request.

    python -m signalbox.serve.worker --socket PATH --run-dir DIR --control-fd N [--server core|aio]

Started by the supervisor only. Policies, and the prices that go with them, come over the control pipe, so a restarted
worker gets the policy that is serving, not whatever the mounted file says by now. Of the run directory it reads the
collector's snapshots, in a thread, and opens the store there.
"""

from __future__ import annotations

import argparse
import gc
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from signalbox.control import ChildEnd, Message
from signalbox.decide.pipeline import Pipeline
from signalbox.errors import SignalboxError
from signalbox.extproc.exchange import Exchange
from signalbox.extproc.server import EdgeServer, make_server
from signalbox.extproc.shadow import compile_shadows
from signalbox.policy.load import load_text
from signalbox.policy.schema import MAX_BODY_BYTES_LIMIT
from signalbox.prices.resolve import from_message
from signalbox.serve.engine_room import EngineRoom
from signalbox.serve.surroundings import Surroundings

# Envoy's buffer filter is the real limit and answers 413. This one only has to lie above it, whatever
# a later policy says; a message over it would be a bare gRPC error.
MAX_MESSAGE_BYTES = MAX_BODY_BYTES_LIMIT + 1024 * 1024

DRAIN_SECONDS = 1.5  # a few health-check intervals: Envoy must have noticed before we stop
GRACE_SECONDS = 5.0  # for exchanges under way; a decision takes milliseconds


def use_policy(
    exchange: Exchange,
    message: Message,
    control: ChildEnd,
    surroundings: Surroundings,
    room: EngineRoom | None = None,
) -> None:
    """Compile a policy and open its engines aside, swap one reference, and tell the supervisor how it went.

    room: where engines are opened; without one, none is.
    """
    try:
        loaded = load_text(message["text"].encode(), message["file"])
        policy = loaded.policy
        pipeline = Pipeline.compile(policy, from_message(message["prices"]))
        engines = None if room is None else room.open(policy, exchange.engines)
        exchange.use(
            pipeline,
            message["sha256"],
            stream_usage=policy.gateway.stream_usage,
            edge=surroundings.edge(policy.state if pipeline.needs_store else None),
            journal=policy.journal is not None,
            engines=engines,
            shadows=compile_shadows(
                policy,
                pipeline,
                engines,
                lambda label: control.send({"type": "label", "label": msgspec.to_builtins(label)}),
                workers=1 if room is None else room.workers,
                before=exchange.shadows,
            ),
        )
    except SignalboxError as problem:
        control.send({"type": "policy_failed", "sha256": message["sha256"], "error": str(problem)})
    else:
        control.send({"type": "policy", "sha256": message["sha256"]})


def follow(
    messages: Iterator[Message],
    exchange: Exchange,
    control: ChildEnd,
    server: EdgeServer,
    surroundings: Surroundings,
    room: EngineRoom,
) -> None:
    """Apply what the supervisor sends, until it is gone; then stop."""
    for message in messages:
        if message["type"] == "policy":
            use_policy(exchange, message, control, surroundings, room)
            gc.collect()  # the old policy's cycles, now rather than during a request
    server.drain(0.0, GRACE_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="signalbox.serve.worker", description="One routing worker.")
    parser.add_argument("--socket", required=True, metavar="PATH")
    parser.add_argument("--run-dir", required=True, type=Path, metavar="DIR")
    parser.add_argument("--control-fd", required=True, type=int, metavar="N")
    parser.add_argument("--server", choices=("core", "aio"), default="core")
    parser.add_argument("--cores", type=int, default=0, metavar="N", help="its share of the machine, for engines")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="how many there are")
    options = parser.parse_args(arguments)

    control = ChildEnd(options.control_fd)
    messages = control.messages()
    first = next(messages, None)
    if first is None:
        return 0
    exchange = Exchange()
    surroundings = Surroundings(
        options.run_dir, failed=lambda problem: control.send({"type": "store_failed", "error": problem})
    )
    surroundings.start()
    room = EngineRoom(options.run_dir, options.cores, options.workers)
    use_policy(exchange, first, control, surroundings, room)
    server = make_server(options.server, exchange, max_message_bytes=MAX_MESSAGE_BYTES)
    # Ctrl-C in a terminal reaches the whole process group; the supervisor alone decides what happens then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: server.drain(DRAIN_SECONDS, GRACE_SECONDS))
    server.start(f"unix:{options.socket}")
    # Everything alive now lives as long as the process: keep the collector from walking it for every request.
    gc.collect()
    gc.freeze()
    following = (messages, exchange, control, server, surroundings, room)
    threading.Thread(target=follow, args=following, name="control", daemon=True).start()
    control.send({"type": "ready"})
    server.run()
    surroundings.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
