"""Whatever arrives from Envoy gets an answer that Envoy can read; a well-formed request is never a fault of ours."""

from __future__ import annotations

import json
from functools import cache

from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from signalbox.extproc.exchange import Conversation, Exchange, Reply
from signalbox.types import ENDPOINT_BY_PATH, Endpoint
from tests.fuzz.bodies import mutated, requests, words
from tests.unit.extproc.decisions import exchange
from tests.unit.extproc.envoy_messages import body_message, chat, headers_message

PATHS = {endpoint: path for path, endpoint in ENDPOINT_BY_PATH.items()}
SEEDS = (
    body_message(chat()),
    body_message(
        chat(stream=True), "/v1/chat/completions?x=1", {"x-data-class": "restricted", "x-model-affinity": "a"}
    ),
    body_message(b'{"model":"auto","input":"hi"}', "/v1/responses"),
    headers_message(),
    headers_message(end_of_stream=True),
)


@cache
def serving() -> Exchange:
    return exchange(stream_usage=True)


def checked(reply: Reply) -> pb.ProcessingResponse:
    """The reply as Envoy reads it: a continue, a decision, or a refusal that says why."""
    response = pb.ProcessingResponse.FromString(reply.message)
    kind = response.WhichOneof("response")
    assert kind in ("request_headers", "request_body", "immediate_response")
    assert (reply.conversation is not None) is (kind == "request_headers")
    assert kind == "request_headers" or set(response.dynamic_metadata.fields) == {"signalbox"}
    if kind == "immediate_response":
        refusal = response.immediate_response
        assert refusal.status.code in (400, 404, 422, 503)
        assert refusal.body.decode()  # Envoy puts it into the API's own form
        assert refusal.details.startswith("signalbox_")
    return response


@given(st.sampled_from(SEEDS) | mutated(st.sampled_from(SEEDS)))
def test_any_bytes_are_answered_and_the_next_message_too(data: bytes) -> None:
    reply = serving().answer(data)
    checked(reply)
    later: Conversation | None = reply.conversation
    if later is not None:
        checked(serving().answer(data, later))
    checked(serving().answer(SEEDS[0], later))


header_values = st.dictionaries(
    st.sampled_from(["x-data-class", "x-model-affinity", "x-a"]),
    words.map(lambda text: text.encode("utf-8", "replace")),
)


@given(requests, header_values, st.sampled_from(["", "?", "?a=1", "?\u00e9"]), st.booleans())
def test_any_body_is_decided_or_refused_and_never_a_fault(
    request: tuple[Endpoint, bytes], headers: dict[str, bytes], query: str, asks_first: bool
) -> None:
    endpoint, body = request
    path = PATHS[endpoint] + query
    said = {name: value.decode() for name, value in headers.items()}
    conversation = None
    if asks_first:
        conversation = serving().answer(headers_message(path, said)).conversation
        assert conversation is not None
    response = checked(serving().answer(body_message(body, path, said, attributes=not asks_first), conversation))
    refused = response.immediate_response
    assert refused.status.code != 503, refused.body
    if response.WhichOneof("response") == "request_body" and asks_first:
        json.loads(response.request_body.response.body_mutation.body or body)
