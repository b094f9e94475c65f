"""A worker that answers what a healthy sidecar never would, to see what Envoy makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as pb_grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

HEALTH_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"

Answer = Callable[[pb.ProcessingRequest, grpc.ServicerContext], Iterator[pb.ProcessingResponse]]


def decision(chain: list[tuple[str, str]], **changes: Any) -> pb.ProcessingResponse:
    """A decision for `Stack.chat("router:chain")` over (provider, model) pairs; `changes` is what is wrong with it."""
    metadata: dict[str, Any] = {
        "id": "sb-000000000000000000000000",
        "router": "", "route": "test", "reason": "requested", "policy": "0" * 12,
        "tries": len(chain),
        "privacy": "any",
        "endpoint": "chat_completions",
        "priority_groups": [{"name": provider} for provider, _ in chain],
        "candidates": [{"provider": provider, "name": model, "model": f'"{model}"'} for provider, model in chain],
        "edits": [{"at": len('{"model": '), "len": len('"router:chain"')}],
    }  # fmt: skip
    metadata.update(changes)
    answer = pb.ProcessingResponse()
    answer.dynamic_metadata.update({"signalbox": metadata})
    answer.request_body.response.clear_route_cache = True
    answer.request_body.response.header_mutation.SetInParent()
    return answer


def silent(_request: pb.ProcessingRequest, _context: grpc.ServicerContext) -> Iterator[pb.ProcessingResponse]:
    """End the RPC cleanly without a word."""
    return iter(())


def crashing(_request: pb.ProcessingRequest, context: grpc.ServicerContext) -> Iterator[pb.ProcessingResponse]:
    context.abort(grpc.StatusCode.INTERNAL, "asked to")
    return iter(())


def late(_request: pb.ProcessingRequest, _context: grpc.ServicerContext) -> Iterator[pb.ProcessingResponse]:
    time.sleep(1.5)
    yield decision([("alpha", "alpha-large")])


def without_metadata(_request: pb.ProcessingRequest, _context: grpc.ServicerContext) -> Iterator[pb.ProcessingResponse]:
    """Say `continue` and decide nothing."""
    answer = pb.ProcessingResponse()
    answer.request_body.response.clear_route_cache = True
    answer.request_body.response.header_mutation.SetInParent()
    yield answer


def fixed(answer: pb.ProcessingResponse) -> Answer:
    def respond(_request: pb.ProcessingRequest, _context: grpc.ServicerContext) -> Iterator[pb.ProcessingResponse]:
        yield answer

    return respond


class WrongWorker(pb_grpc.ExternalProcessorServicer):
    """Answers with `self.answer`, which a test sets."""

    answer: Answer = staticmethod(silent)

    def Process(self, requests, context):
        for request in requests:
            yield from self.answer(request, context)
            return


@contextmanager
def wrong_workers(sockets: list[Path]) -> Iterator[WrongWorker]:
    """One misbehaving worker behind all worker sockets."""
    worker = WrongWorker()
    server = grpc.server(ThreadPoolExecutor(8))
    pb_grpc.add_ExternalProcessorServicer_to_server(worker, server)
    status = health.HealthServicer()
    status.set(HEALTH_SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    for socket in sockets:
        server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield worker
    finally:
        server.stop(grace=0.2).wait()
