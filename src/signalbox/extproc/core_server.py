"""Serve exchanges straight from grpcio's completion queue: three events per RPC, no event loop, no threads.

    accepted  -> receive its message
    message   -> answer it; the last answer goes out together with the status
    ended     -> forget the call

A message that waits for an engine is a fourth: the engine's thread starts a batch without operations on its call, which
does nothing but come back here, and the answer goes out. One that does not come by its deadline is not waited for.

`grpc._cython.cygrpc` is private to grpcio, so its version is pinned, its shape is checked when this module
is imported, and `aio_server` does the same over the public API.
"""

from __future__ import annotations

import heapq
import threading
import time
from importlib.metadata import version
from types import ModuleType
from typing import Any

from grpc._cython import cygrpc

from signalbox.errors import SetupError
from signalbox.extproc import address as addresses
from signalbox.extproc import health
from signalbox.extproc.exchange import Conversation, Exchange, Reply, Waiting
from signalbox.extproc.stopping import StopTimes

PINNED_GRPCIO = "1.85.1"

_USED = {
    "CompletionQueue": ("poll", "shutdown"),
    "Server": (
        "register_completion_queue",
        "add_http2_port",
        "start",
        "request_call",
        "shutdown",
        "cancel_all_calls",
        "destroy",
    ),
    "Call": ("start_server_batch",),
    "RequestCallEvent": ("tag", "success", "call", "call_details"),
    "BatchOperationEvent": ("tag", "success", "batch_operations"),
    "CallDetails": ("method",),
    "ReceiveMessageOperation": ("message",),
    "SendInitialMetadataOperation": (),
    "SendMessageOperation": (),
    "SendStatusFromServerOperation": (),
    "ReceiveCloseOnServerOperation": (),
    "StatusCode": ("ok", "invalid_argument", "not_found", "unimplemented"),
    "CompletionType": ("queue_shutdown", "queue_timeout"),
}


def check_shape(module: ModuleType, found_version: str) -> None:
    """Raise SetupError if the module lacks anything this server uses of it."""
    missing = [
        f"{owner}.{name}" if name else owner
        for owner, names in _USED.items()
        for name in ("", *names)
        if not hasattr(module, owner) or (name and not hasattr(getattr(module, owner), name))
    ]
    if missing:
        raise SetupError(
            f"grpcio {found_version} lacks {', '.join(missing)}, which the completion-queue server needs\n"
            f"  expected: grpcio=={PINNED_GRPCIO}\n"
            "  fix: install that version, or run with --server aio"
        )


check_shape(cygrpc, version("grpcio"))

_NO_FLAGS = 0
_POLL_SECONDS = 0.2  # how late a drain may be noticed by an idle loop; under load each event notices it
_OUTSTANDING_ACCEPTS = 128  # RPCs grpc may accept before the loop comes round again

_ACCEPT = "accept"
_STOPPED = "stopped"
_PROCESS = health.PROCESS_METHOD.encode()
_CHECK = health.CHECK_METHOD.encode()


class _Rpc:
    """One call under way, and the tag of its batches: grpc hands it back, which keeps the call alive."""

    __slots__ = ("begun", "call", "conversation", "ending", "method", "waiting")  # one is made per request

    def __init__(self, call: Any, method: bytes) -> None:
        self.call = call
        self.method = method
        self.begun = False  # initial metadata was sent
        self.ending = False  # status was sent: the next event is the last
        self.conversation: Conversation | None = None
        self.waiting: Waiting | None = None


class _Wake:
    """Tag of a batch that does nothing: the engine of a call has answered."""

    __slots__ = ("rpc",)

    def __init__(self, rpc: _Rpc) -> None:
        self.rpc = rpc


class CoreServer:
    """See `EdgeServer`."""

    def __init__(self, exchange: Exchange, *, max_message_bytes: int) -> None:
        self._exchange = exchange
        self._stop = StopTimes()
        self._deadlines: list[tuple[float, int, _Rpc]] = []  # a heap of calls that wait for engines
        self._waits = 0
        self._waking = threading.Lock()
        self._queue_open = True  # under `_waking`: grpc aborts the process for a batch after the queue's shutdown
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(
            (
                ("grpc.max_receive_message_length", max_message_bytes),
                ("grpc.max_send_message_length", -1),
            ),
            False,
        )
        self._server.register_completion_queue(self._queue)

    def start(self, address: str) -> None:
        path = addresses.claim(address)
        if not self._server.add_http2_port(f"unix:{path}".encode()):
            raise SetupError(f"cannot listen on {address!r}: grpc could not bind it")
        self._server.start()
        addresses.share(path)
        for _ in range(_OUTSTANDING_ACCEPTS):
            self._server.request_call(self._queue, self._queue, _ACCEPT)

    def drain(self, drain_seconds: float, grace_seconds: float) -> None:
        self._stop.begin(drain_seconds, grace_seconds)

    def run(self) -> None:
        try:
            self._serve()
        except BaseException:
            self.drain(0.0, 0.0)
            raise
        finally:
            self._shut_down()

    def _serve(self) -> None:
        """Handle events until no more calls are to be accepted."""
        stop = self._stop
        while time.monotonic() < stop.accept_until:
            event = self._next_event()
            tag = event.tag
            if tag is _ACCEPT:
                self._server.request_call(self._queue, self._queue, _ACCEPT)
                self._accept(event)
            elif tag is not None:  # None: nothing happened within the poll
                self._advance(tag, event)
            if self._deadlines:
                self._expire()

    def _shut_down(self) -> None:
        """Finish what runs, cancel what does not finish in time, and leave the queue empty."""
        self._server.shutdown(self._queue, _STOPPED)
        cancelled = False
        while True:
            event = self._next_event()
            tag = event.tag
            if tag is _STOPPED:
                break
            if tag is _ACCEPT:
                if event.success:  # accepted a moment before the shutdown: it still gets its answer
                    self._accept(event)
            elif tag is not None:
                self._advance(tag, event)
            if self._deadlines:
                self._expire()
            if not cancelled and time.monotonic() >= self._stop.cancel_at:
                self._server.cancel_all_calls()
                cancelled = True
        with self._waking:
            self._queue_open = False
        self._queue.shutdown()
        while self._queue.poll().completion_type != cygrpc.CompletionType.queue_shutdown:
            pass
        self._server.destroy()

    def _accept(self, event: Any) -> None:
        rpc = _Rpc(event.call, event.call_details.method)
        if rpc.method == _PROCESS or rpc.method == _CHECK:
            rpc.call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), rpc)
        else:
            self._end(rpc, cygrpc.StatusCode.unimplemented, b"unknown method")

    def _next_event(self) -> Any:
        """Return what happens next; nothing, once the poll or the first deadline is over."""
        wait_seconds = _POLL_SECONDS
        if self._deadlines:
            wait_seconds = min(wait_seconds, max(0.0, self._deadlines[0][0] - time.monotonic()))
        return self._queue.poll(deadline=time.time() + wait_seconds)

    def _advance(self, tag: _Rpc | _Wake, event: Any) -> None:
        if isinstance(tag, _Wake):
            self._resume(tag.rpc)
            return
        rpc = tag
        if rpc.ending:
            return
        message = event.batch_operations[-1].message()
        if message is None:
            # The peer went away, or ended without a message. Never OK: to Envoy that would mean "go on".
            self._end(rpc, cygrpc.StatusCode.invalid_argument, b"the call ended before its message")
        elif rpc.method == _PROCESS:
            self._deliver(rpc, self._exchange.answer(message, rpc.conversation))
        else:
            serving = self._exchange.ready and not self._stop.draining
            answer = health.check(message, serving=serving)
            if answer is None:
                self._end(rpc, cygrpc.StatusCode.not_found, b"unknown service")
            else:
                self._end(rpc, cygrpc.StatusCode.ok, b"", answer)

    def _deliver(self, rpc: _Rpc, reply: Reply) -> None:
        rpc.conversation = reply.conversation
        if reply.waiting is not None:
            rpc.waiting = reply.waiting
            for deadline in reply.waiting.deadlines:
                self._waits += 1  # between equal deadlines the first asked is the first answered
                heapq.heappush(self._deadlines, (deadline, self._waits, rpc))
            reply.waiting.when_done(lambda: self._wake(rpc))
        elif reply.conversation is None:
            self._end(rpc, cygrpc.StatusCode.ok, b"", reply.message)
        else:
            self._converse(rpc, reply.message)
        if reply.after is not None:
            reply.after()

    def _wake(self, rpc: _Rpc) -> None:
        """Have the loop resume a call. Called from an engine's thread."""
        with self._waking:
            if self._queue_open:
                rpc.call.start_server_batch((), _Wake(rpc))

    def _resume(self, rpc: _Rpc) -> None:
        waiting = rpc.waiting
        if waiting is not None and waiting.is_over():  # else it was late, and has been answered
            rpc.waiting = None
            self._deliver(rpc, waiting.finish())

    def _expire(self) -> None:
        """Answer the calls whose engines are late, and forget those that were answered in time."""
        deadlines = self._deadlines
        now = time.monotonic()
        while deadlines and (deadlines[0][0] <= now or deadlines[0][2].waiting is None):
            rpc = heapq.heappop(deadlines)[2]
            if rpc.waiting is not None and rpc.waiting.is_over():
                self._resume(rpc)

    def _converse(self, rpc: _Rpc, answer: bytes) -> None:
        """Send an answer and wait for the next message."""
        operations = [
            cygrpc.SendMessageOperation(answer, _NO_FLAGS),
            cygrpc.ReceiveMessageOperation(_NO_FLAGS),
        ]
        if not rpc.begun:
            operations.insert(0, cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS))
            rpc.begun = True
        rpc.call.start_server_batch(tuple(operations), rpc)

    def _end(self, rpc: _Rpc, code: Any, details: bytes, answer: bytes | None = None) -> None:
        """Send the last answer, if there is one, and the status, in one batch."""
        # Operations hold the memory grpc writes to, so each batch has its own.
        operations = [
            cygrpc.SendStatusFromServerOperation(None, code, details, _NO_FLAGS),
            cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),
        ]
        if answer is not None:
            operations.insert(0, cygrpc.SendMessageOperation(answer, _NO_FLAGS))
        if not rpc.begun:
            operations.insert(0, cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS))
        rpc.ending = True
        rpc.call.start_server_batch(tuple(operations), rpc)
