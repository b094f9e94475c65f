"""The access log service over a real unix socket."""

import asyncio
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
from access_log_entries import attempt_entry, decision, message, request_entry
from collector_bench import Bench
from envoy.data.accesslog.v3 import accesslog_pb2
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from signalbox.collector.receiver import start_receiver
from signalbox.errors import SetupError

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"


def send(bench, *streams: Sequence[bytes]) -> int:
    """Send each stream over its own call. Returns the mode of the socket."""

    async def run() -> int:
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/collector.sock"
            server = await start_receiver(bench.collector, path)
            async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
                for stream in streams:
                    await asyncio.wait_for(channel.stream_unary(METHOD)(iter(stream)), timeout=10)
            mode = stat.S_IMODE(os.stat(path).st_mode)
            await server.stop(grace=0)
            return mode

    return asyncio.run(run())


def test_two_streams_make_one_request(bench):
    send(
        bench,
        [message("attempt", attempt_entry("cloud", 429)), message(None, attempt_entry("spare"))],
        [message("request", request_entry(metadata=decision(), attempts=2, cluster="spare"))],
    )

    assert [line["outcomes"] for line in bench.log.lines] == [["rate_limited", "ok"]]
    assert bench.value("signalbox_access_log_entries_total", log="attempt") == 2
    assert bench.value("signalbox_access_log_entries_total", log="request") == 1


def test_the_socket_is_for_the_group_and_not_for_the_world(bench):
    assert send(bench) == 0o660


def test_a_message_that_does_not_parse_costs_only_itself(bench):
    good = [message(None, request_entry(metadata=decision(), attempts=0, request_id=f"{n:08}")) for n in range(2)]
    send(bench, [message("request"), good[0], b"\xff\xff\xff", good[1]])

    assert [line["request_id"] for line in bench.log.lines if line["event"] == "request"] == ["00000000", "00000001"]
    assert bench.value("signalbox_access_log_unreadable_total") == 1


def test_an_entry_that_cannot_be_read_costs_only_itself(bench, monkeypatch):
    def broken(record):
        if record.status == 500:
            raise RuntimeError("secret prompt")
        take(record)

    take = bench.collector.request
    monkeypatch.setattr(bench.collector, "request", broken)
    bench.requests(*(request_entry(metadata=decision(), attempts=0, status=status) for status in (500, 200, 500, 201)))

    assert [line["status"] for line in bench.log.lines if line["event"] == "request"] == [200, 201]
    assert bench.value("signalbox_access_log_unreadable_total") == 2
    notes = [line for line in bench.log.lines if line["event"] == "access_log_unreadable"]
    assert [(note["log"], note["problem"]) for note in notes] == [("request", "RuntimeError")]
    assert b"secret prompt" not in b"".join(bench.log.raw)


ENTRY_BYTES = request_entry(metadata=decision()).SerializeToString()


@given(damage=st.lists(st.tuples(st.integers(0, len(ENTRY_BYTES) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_whatever_protobuf_can_read_is_counted_and_logged(damage):
    damaged = bytearray(ENTRY_BYTES)
    for position, byte in damage:
        damaged[position] = byte
    entry = accesslog_pb2.HTTPAccessLogEntry()
    try:
        entry.ParseFromString(bytes(damaged))
    except DecodeError:
        return
    entry.common_properties.access_log_type = accesslog_pb2.AccessLogType.DownstreamEnd
    bench = Bench()
    bench.requests(entry)
    bench.collector.drain()

    assert bench.value("signalbox_access_log_unreadable_total") == 0
    assert [line["event"] for line in bench.log.lines] == ["request"]


@pytest.mark.parametrize("name", [None, "", "something-else"])
def test_a_stream_of_another_log_is_counted_and_not_read(bench, name):
    send(bench, [message(name, request_entry(metadata=decision(), attempts=0))])

    assert bench.value("signalbox_access_log_entries_total", log="other") == 1
    assert bench.log.lines == []


def test_an_entry_in_the_wrong_log_is_not_counted_twice(bench):
    bench.attempts(request_entry(metadata=decision(), attempts=0))

    assert bench.series("signalbox_requests_total") == {}


def test_a_socket_that_cannot_be_made_is_explained(bench, tmp_path: Path):
    missing = tmp_path / "missing" / "collector.sock"

    with pytest.raises(SetupError) as raised:
        asyncio.run(start_receiver(bench.collector, str(missing)))

    assert str(missing) in str(raised.value)
    assert "fix: check the run directory" in str(raised.value)
