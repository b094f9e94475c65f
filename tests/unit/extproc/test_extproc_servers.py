"""What any server of exchanges does, said once and run on each of them over a real socket."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2

from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.exchange import Exchange
from signalbox.extproc.health import CHECK_METHOD, PROCESS_METHOD, PROCESSOR_SERVICE

from .conftest import MAX_MESSAGE_BYTES, Served
from .decisions import POLICY, exchange
from .envoy_messages import body_message, chat, headers_message, metadata, read, record, request_headers_set
from .envoy_peer import DEADLINE_SECONDS, EnvoyPeer, connected

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def peer(served: Served) -> Iterator[EnvoyPeer]:
    with connected(served.address) as connection:
        yield connection


def test_one_message_is_decided_and_the_rpc_ends_with_its_answer(peer: EnvoyPeer) -> None:
    assert metadata(peer.ask(body_message(chat())))["route"] == "main"


def test_a_refusal_is_an_answer_and_not_a_failed_rpc(peer: EnvoyPeer) -> None:
    assert read(peer.ask(body_message(b"{"))).immediate_response.status.code == 400


def test_a_fault_of_ours_is_an_answer_too(peer: EnvoyPeer, capfd: pytest.CaptureFixture[str]) -> None:
    assert read(peer.ask(b"\xff\xff\xff")).immediate_response.status.code == 503
    assert "decide_failed" in capfd.readouterr().err


def test_headers_then_body_are_answered_on_one_rpc(peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        rpc.send(headers_message())
        assert read(rpc.receive()).WhichOneof("response") == "request_headers"
        rpc.send(body_message(chat(), attributes=False))
        assert request_headers_set(rpc.receive())["x-signalbox-cluster"] == "cloud"
        assert rpc.ended() is grpc.StatusCode.OK


def test_headers_may_be_repeated_before_the_body(peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        for _ in range(3):
            rpc.send(headers_message())
            assert read(rpc.receive()).WhichOneof("response") == "request_headers"
        rpc.send(body_message(chat(), attributes=False))
        assert metadata(rpc.receive())["route"] == "main"


def test_an_rpc_without_a_message_fails_because_silence_would_let_the_request_through(peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        rpc.half_close()
        with pytest.raises(grpc.RpcError):
            rpc.receive()
        assert rpc.call.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_rpc_that_stops_after_its_headers_fails_too(peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        rpc.send(headers_message())
        rpc.receive()
        rpc.half_close()
        with pytest.raises(grpc.RpcError):
            rpc.receive()
        assert rpc.call.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_five_megabyte_body_is_decided(peer: EnvoyPeer) -> None:
    body = chat(content="word " * 1_000_000)
    assert len(body) > 5_000_000
    assert metadata(peer.ask(body_message(body)))["route"] == "main"


def test_a_five_megabyte_body_is_sent_back_finished(peer: EnvoyPeer) -> None:
    body = chat(content="word " * 1_000_000)
    with peer.open() as rpc:
        rpc.send(headers_message())
        rpc.receive()
        rpc.send(body_message(body, attributes=False))
        finished = read(rpc.receive()).request_body.response.body_mutation.body
    assert json.loads(finished) == json.loads(body) | {"model": 'large "v2"'}


def test_a_message_over_the_limit_is_refused_by_grpc_and_the_next_is_served(peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        rpc.send(body_message(b" " * (MAX_MESSAGE_BYTES + 1)))
        with pytest.raises(grpc.RpcError):
            rpc.receive()
        assert rpc.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert metadata(peer.ask(body_message(chat())))["route"] == "main"


def test_a_policy_swapped_between_two_rpcs_decides_the_second(served: Served, peer: EnvoyPeer) -> None:
    before = record(peer.ask(body_message(chat()))).policy
    served.exchange.use(Pipeline.compile(POLICY), "f" * 64)
    after = record(peer.ask(body_message(chat()))).policy
    assert (before, after) == ("0123456789ab", "f" * 12)


def test_many_rpcs_at_once_each_get_their_own_answer(peer: EnvoyPeer) -> None:
    def route(number: int) -> tuple[int, str]:
        model = ("large", "small")[number % 2]
        return number, metadata(peer.ask(body_message(chat(model))))["route"]

    with ThreadPoolExecutor(16) as threads:
        routes = dict(threads.map(route, range(200)))
    assert routes == {number: ("large", "small")[number % 2] for number in range(200)}


def test_hundreds_of_aborted_and_half_open_rpcs_leave_it_serving_and_leak_nothing(
    served: Served, peer: EnvoyPeer
) -> None:
    def disturb(rounds: int) -> None:
        for number in range(rounds):
            with peer.open() as rpc:  # leaving cancels
                if number % 3 == 0:
                    rpc.send(headers_message())
                if number % 3 == 1:
                    rpc.send(body_message(chat()))
        assert metadata(peer.ask(body_message(chat())))["route"] == "main"

    disturb(60)
    before = settled_call_objects(peer)
    disturb(300)
    assert settled_call_objects(peer) <= before + 5


def settled_call_objects(peer: EnvoyPeer) -> int:
    """How many objects of ours and of grpcio's lower layer are alive once cancelled calls have ended."""
    fewest = None
    for _ in range(20):
        peer.ask(body_message(chat()))
        gc.collect()
        found = sum(
            str(type(each).__module__).startswith(("signalbox.extproc", "grpc._cython")) for each in gc.get_objects()
        )
        fewest = found if fewest is None else min(fewest, found)
        time.sleep(0.02)
    assert fewest is not None
    return fewest


def test_health_is_serving_for_the_processor_and_the_server_as_a_whole(peer: EnvoyPeer) -> None:
    assert peer.health() == SERVING
    assert peer.health(PROCESSOR_SERVICE) == SERVING


def test_health_of_an_unknown_service_is_not_found(peer: EnvoyPeer) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        peer.health("envoy.service.auth.v3.Authorization")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_is_not_serving_before_there_is_a_policy(serve: Callable[[Exchange], Served]) -> None:
    with connected(serve(Exchange()).address) as peer:
        assert peer.health() == NOT_SERVING


@pytest.mark.parametrize("method", ["/grpc.health.v1.Health/Watch", "/nobody.Knows/This", f"{PROCESS_METHOD}/"])
def test_an_unknown_method_is_unimplemented(peer: EnvoyPeer, method: str) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        peer.channel.unary_unary(method)(b"", timeout=DEADLINE_SECONDS)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_unreadable_health_check_does_not_stop_the_server(peer: EnvoyPeer) -> None:
    with pytest.raises(grpc.RpcError) as failure:
        peer.channel.unary_unary(CHECK_METHOD)(b"\xff\xff", timeout=DEADLINE_SECONDS)
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert peer.health() == SERVING


def test_a_draining_server_is_not_serving_and_still_answers(served: Served, peer: EnvoyPeer) -> None:
    served.server.drain(30.0, 30.0)
    assert peer.health() == NOT_SERVING
    assert metadata(peer.ask(body_message(chat())))["route"] == "main"
    assert not served.has_stopped(within_seconds=0.3)


def test_a_drain_ends_by_itself_and_removes_the_socket(served: Served) -> None:
    served.server.drain(0.1, 5.0)
    assert served.has_stopped(within_seconds=5)
    assert not served.socket_path.exists()


def test_a_second_drain_can_only_bring_the_end_forward(served: Served) -> None:
    served.server.drain(0.0, 0.2)
    served.server.drain(60.0, 60.0)
    assert served.has_stopped(within_seconds=5)


def test_a_call_under_way_is_finished_after_accepting_has_ended(served: Served, peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        rpc.send(headers_message())
        rpc.receive()
        served.server.drain(0.0, 8.0)
        time.sleep(0.5)  # well past the moment it stopped accepting
        rpc.send(body_message(chat(), attributes=False))
        assert metadata(rpc.receive())["route"] == "main"
        assert rpc.ended() is grpc.StatusCode.OK
    assert served.has_stopped(within_seconds=5)


def test_a_call_that_outlives_the_grace_is_cancelled(served: Served, peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        rpc.send(headers_message())
        rpc.receive()
        served.server.drain(0.0, 0.3)
        assert served.has_stopped(within_seconds=5)
        with pytest.raises(grpc.RpcError):
            rpc.receive()


def test_the_grace_of_a_stop_under_way_can_be_cut_short(served: Served, peer: EnvoyPeer) -> None:
    with peer.open() as rpc:
        rpc.send(headers_message())
        rpc.receive()
        served.server.drain(0.0, 60.0)
        assert not served.has_stopped(within_seconds=0.4)
        served.server.drain(0.0, 0.0)
        assert served.has_stopped(within_seconds=5)


def test_a_drain_after_the_end_does_nothing(served: Served) -> None:
    served.server.drain(0.0, 0.0)
    assert served.has_stopped(within_seconds=5)
    served.server.drain(0.0, 0.0)


def test_a_successor_takes_the_path_over(serve: Callable[[Exchange], Served]) -> None:
    first = serve(exchange())
    first.server.drain(0.0, 0.0)
    assert first.has_stopped(within_seconds=5)
    with connected(serve(exchange()).address) as peer:
        assert peer.health() == SERVING
