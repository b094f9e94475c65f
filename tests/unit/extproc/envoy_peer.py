"""A gRPC client that speaks to a worker as Envoy does: bytes on one stream per request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

import grpc
from grpc_health.v1 import health_pb2

from signalbox.extproc.health import CHECK_METHOD, PROCESS_METHOD

DEADLINE_SECONDS = 10.0


class Rpc:
    """One open ext_proc stream."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._outgoing: list[bytes | None] = []
        self._changed = threading.Condition()
        self.call = channel.stream_stream(PROCESS_METHOD)(self._requests(), timeout=DEADLINE_SECONDS)

    def _requests(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._outgoing)
                message = self._outgoing.pop(0)
            if message is None:
                return
            yield message

    def send(self, message: bytes) -> None:
        self._put(message)

    def half_close(self) -> None:
        self._put(None)

    def _put(self, message: bytes | None) -> None:
        with self._changed:
            self._outgoing.append(message)
            self._changed.notify()

    def receive(self) -> bytes:
        """The next answer. Raises StopIteration when the server ended the RPC, RpcError when it failed it."""
        answer: bytes = next(self.call)
        return answer

    def ended(self) -> grpc.StatusCode:
        """Status of an RPC the server has ended or is about to end, with nothing more to say."""
        assert next(self.call, None) is None
        code: grpc.StatusCode = self.call.code()
        return code

    def __enter__(self) -> Rpc:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.call.cancel()
        self.half_close()


class EnvoyPeer:
    """A connection to one worker."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    def open(self) -> Rpc:
        return Rpc(self.channel)

    def ask(self, message: bytes) -> bytes:
        """One exchange: a message out, its answer in, and the RPC must then be over without our doing."""
        with self.open() as rpc:
            rpc.send(message)
            answer = rpc.receive()
            assert rpc.ended() is grpc.StatusCode.OK
            return answer

    def health(self, service: str = "") -> int:
        request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        answer = self.channel.unary_unary(CHECK_METHOD)(request, timeout=DEADLINE_SECONDS)
        return int(health_pb2.HealthCheckResponse.FromString(answer).status)


@contextmanager
def connected(address: str) -> Iterator[EnvoyPeer]:
    options = (
        ("grpc.max_receive_message_length", -1),
        ("grpc.max_send_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
    )
    with grpc.insecure_channel(address, options=options) as channel:
        yield EnvoyPeer(channel)
