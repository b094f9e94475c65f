"""Envoy's AccessLogService on a unix socket.

Nothing that arrives can end a stream: what cannot be read is counted and skipped. The log is lossy by
nature (Envoy drops entries rather than wait), so it is telemetry, never billing.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import grpc
from envoy.service.accesslog.v3 import als_pb2

from signalbox.collector.records import (
    ATTEMPT_ENDED,
    ATTEMPT_STARTED,
    REQUEST_ENDED,
    REQUEST_GOES_ON,
    attempt_id,
    attempt_record,
    request_record,
    running_request,
)
from signalbox.collector.state import Collector
from signalbox.errors import SetupError
from signalbox.telemetry import AccessLog

SERVICE = als_pb2.DESCRIPTOR.services_by_name["AccessLogService"]
STREAM_METHOD = SERVICE.methods_by_name["StreamAccessLogs"].name

_LOGS = {log.value: log for log in AccessLog if log is not AccessLog.OTHER}
_ANSWER: bytes = als_pb2.StreamAccessLogsResponse().SerializeToString()


class Receiver:
    """Reads access log streams and hands their entries to a Collector."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._sources = count(1)

    @property
    def handler(self) -> Any:
        """The service, for `grpc.aio.Server.add_generic_rpc_handlers`."""
        # Without a deserializer messages arrive as bytes. grpc's own would end the whole stream at the
        # first message that does not parse.
        method = grpc.stream_unary_rpc_method_handler(self._stream)
        return grpc.method_handlers_generic_handler(SERVICE.full_name, {STREAM_METHOD: method})

    async def _stream(self, messages: AsyncIterator[bytes], _context: object) -> bytes:
        log, source = AccessLog.OTHER, next(self._sources)
        try:
            async for data in messages:
                log = self.take(data, log, source)
        finally:
            self._collector.source_lost(source)
        return _ANSWER

    def take(self, data: bytes, log: AccessLog, source: int = 0) -> AccessLog:
        """Handle one message of a stream. Returns the log the stream belongs to.

        log: what the message before it returned; only the first message of a stream names it.
        source: the stream's own number.
        """
        try:
            message = als_pb2.StreamAccessLogsMessage.FromString(data)
            if message.HasField("identifier"):
                log = _LOGS.get(message.identifier.log_name, AccessLog.OTHER)
        except Exception as problem:  # noqa: BLE001 - one odd message must not cost the ones after it
            self._collector.unreadable(log, problem)
            return log
        for entry in message.http_logs.log_entry:
            self._collector.entry(log)
            try:
                self._hand_over(log, entry, source)
            except Exception as problem:  # noqa: BLE001 - nor one odd entry
                self._collector.unreadable(log, problem)
        return log

    def _hand_over(self, log: AccessLog, entry: Any, source: int) -> None:
        kind = entry.common_properties.access_log_type
        if log is AccessLog.REQUEST and kind == REQUEST_ENDED:
            self._collector.request(request_record(entry))
        elif log is AccessLog.ATTEMPT and kind == ATTEMPT_ENDED:
            self._collector.attempt(attempt_record(entry))
        elif log is AccessLog.ATTEMPT and kind == ATTEMPT_STARTED:
            self._collector.attempt_started(attempt_id(entry), source)
        elif log is AccessLog.REQUEST and kind == REQUEST_GOES_ON:
            self._collector.request_goes_on(*running_request(entry))


async def start_receiver(collector: Collector, socket_path: str) -> grpc.aio.Server:
    """Listen on a unix socket. Returns the started server.

    Raises SetupError if the socket cannot be made.
    """
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Receiver(collector).handler,))
    try:
        server.add_insecure_port(f"unix:{socket_path}")
        await server.start()
        os.chmod(socket_path, 0o660)  # Envoy may run as another user of the same group
    except (RuntimeError, OSError) as problem:
        raise SetupError(
            f"the access log socket {socket_path!r} cannot be made: {problem}\n"
            "  expected: a path in an existing, writable directory, at most 107 bytes long\n"
            "  fix: check the run directory given with --run-dir"
        ) from problem
    return server
