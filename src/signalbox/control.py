"""The pipe between the supervisor and a child: one JSON object per line, both ways.

supervisor -> child   {"type": "policy", "sha256", "file", "text",   use this policy from now on;
                       "prices"}                                     {model: [input, output, cached input]}, USD per
                                                                     million tokens, of each model whose price is known
                      {"type": "status", ...}                        what the collector should show
child -> supervisor   {"type": "ready", ...}                         serving
                      {"type": "policy", "sha256"}                   that policy is in use
                      {"type": "policy_failed", "sha256", "error"}   it is not; the old one stays
                      {"type": "store_failed", "error"}              it goes on without the policy's store
                      {"type": "label", "label"}                     what a shadow engine said; goes on to the collector
                      {"type": "fatal", "error"}                     it cannot start at all

The child holds one end as an inherited descriptor. End of file means that the supervisor is gone:
a child without one stops, so that no worker ever serves a policy nobody watches.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

Message = dict[str, Any]

# Files of the run directory with which `signalbox drain` tells the others how far it is.
DRAINING, DRAINED = "draining", "drained"

MAX_LINE_BYTES = 32 * 1024 * 1024  # a policy is at most a few MiB; JSON escapes can double it


def encode(message: Message) -> bytes:
    """Return one line for `message`."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


class ChildEnd:
    """The child's end of the pipe, with blocking calls: workers read it in a thread of their own."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        os.set_inheritable(descriptor, False)
        self._lines = self._socket.makefile("rb")
        self._sending = threading.Lock()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def send(self, message: Message) -> None:
        """Send one message, from any thread; a supervisor that is gone is noticed by `messages`, not here."""
        with self._sending, suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(encode(message))

    def messages(self) -> Iterator[Message]:
        """Yield messages until the supervisor is gone."""
        try:
            for line in self._lines:
                yield json.loads(line)
        except ConnectionResetError:
            return
