from __future__ import annotations

import json
import re

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from signalbox import core
from signalbox.decide.pipeline import Pipeline
from signalbox.extproc.exchange import Exchange
from signalbox.features.journal import FIELDS
from signalbox.policy.schema import Policy
from signalbox.record import decode
from signalbox.types import Case, Decision, Edit

from .decisions import POLICY, POLICY_SHA256, exchange
from .envoy_messages import body_message, chat, headers_message, metadata, read, record, request_headers_set

SECRET = "my card is 4111 1111 1111 1111"


class Failing:
    """A pipeline with a fault, whose exception quotes the prompt."""

    drops = frozenset[str]()

    def decide(self, case: Case) -> Decision:
        raise RuntimeError(case.request.scan.text().decode())


def spliced(body: bytes, found: dict[str, object]) -> dict[str, object]:
    """What the first candidate's provider sees, by the metadata alone."""
    edits = tuple(Edit(int(e["at"]), int(e["len"]), e.get("text")) for e in found["edits"])  # type: ignore[attr-defined]
    seen: dict[str, object] = json.loads(core.apply_edits(body, edits, found["candidates"][0]["model"].encode()))  # type: ignore[index]
    return seen


def test_one_message_is_decided_and_the_rpc_is_over() -> None:
    reply = exchange().answer(body_message(chat()))
    assert reply.conversation is None
    found = metadata(reply.message)
    assert [group["name"] for group in found["priority_groups"]] == ["cloud", "house"]
    told = decode(found["record"])
    assert (told.router, found["route"], found["tries"]) == ("main", "main", 2)
    assert told.policy == POLICY_SHA256[:12]
    assert told.decide_us >= 0


@pytest.mark.parametrize("journal", [True, False])
def test_the_features_are_told_when_somebody_keeps_them(journal: bool) -> None:
    found = metadata(exchange(journal=journal).answer(body_message(chat())).message)
    told = decode(found["record"])
    columns = dict(zip(FIELDS, told.features, strict=journal))
    assert columns == {} if not journal else (columns["turns"], columns["prompt_tokens"]) == (1, told.estimate)


def test_every_decision_has_an_id_of_its_own() -> None:
    serving = exchange()
    ids = {metadata(serving.answer(body_message(chat())).message)["id"] for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("sb-[0-9a-f]{24}", each) for each in ids)


def test_the_edits_put_the_model_into_the_body_and_nothing_else() -> None:
    body = chat(routing_preference="budget", temperature=0)
    seen = spliced(body, metadata(exchange().answer(body_message(body)).message))
    expected = json.loads(body) | {"model": 'large "v2"'}
    del expected["routing_preference"]  # ours, and no provider's
    assert seen == expected


@pytest.mark.parametrize(
    ("path", "members", "asked"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}, True),
        ("/v1/completions", {"prompt": "hi"}, True),
        ("/v1/responses", {"input": "hi"}, False),
    ],
)
def test_usage_in_streams_is_asked_for_where_the_api_knows_the_question(
    path: str, members: dict[str, object], asked: bool
) -> None:
    body = json.dumps({"model": "auto", "stream": True, **members}).encode()
    for stream_usage in (True, False):
        answer = exchange(stream_usage=stream_usage).answer(body_message(body, path)).message
        assert ("stream_options" in spliced(body, metadata(answer))) is (asked and stream_usage)


def test_a_header_of_the_policy_reaches_the_decision() -> None:
    found = metadata(exchange().answer(body_message(chat(), headers={"x-data-class": "Restricted"})).message)
    assert (found["privacy"], found["priority_groups"]) == ("local", [{"name": "house"}])


def test_the_affinity_header_is_the_session() -> None:
    sessions: list[tuple[str, str]] = []

    class Recording:
        drops = frozenset[str]()

        def decide(self, case: Case) -> Decision:
            sessions.append((case.signals.session, case.signals.decision_id))
            return Pipeline.compile(POLICY).decide(case)

    recording = Exchange()
    recording.use(Recording(), POLICY_SHA256)  # type: ignore[arg-type]
    for headers in ({"x-model-affinity": "alice"}, {"x-model-affinity": ""}, {}):
        recording.answer(body_message(chat(), headers=headers))
    named, empty, absent = sessions
    assert named[0] == "alice"
    assert empty[0] == empty[1]
    assert absent[0] == absent[1]


@pytest.mark.parametrize(
    ("message", "status", "code", "endpoint"),
    [
        (body_message(chat("nope")), 404, "model_not_found", "chat_completions"),
        (body_message(b"{"), 400, "invalid_json", "chat_completions"),
        (body_message(b""), 400, "invalid_json", "chat_completions"),
        (body_message(b'{"model":"auto"}', "/v1/embeddings"), 400, "invalid_request", "embeddings"),
        (body_message(chat(), "/v1/other"), 404, "unsupported_endpoint", ""),
        (headers_message(end_of_stream=True), 400, "invalid_json", ""),
    ],
)
def test_a_request_that_cannot_be_decided_is_refused_with_its_code(
    message: bytes, status: int, code: str, endpoint: str
) -> None:
    reply = exchange().answer(message)
    assert reply.conversation is None
    assert read(reply.message).immediate_response.status.code == status
    assert read(reply.message).immediate_response.details == f"signalbox_{code}"
    found = metadata(reply.message)
    told = decode(found["record"])
    assert (found["error"], told.error, told.endpoint, told.policy) == (code, code, endpoint, POLICY_SHA256[:12])


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff",
        b"",
        body_message(chat(), attributes=False),
        body_message(chat(), path=None),
        pb.ProcessingRequest(response_headers=pb.HttpHeaders()).SerializeToString(),
    ],
)
def test_a_message_our_configuration_cannot_cause_is_refused_as_our_fault(
    message: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = read(exchange().answer(message).message)
    assert answer.immediate_response.status.code == 503
    assert answer.immediate_response.body == b"the gateway could not decide"
    assert json.loads(capsys.readouterr().err)["event"] == "decide_failed"


def test_without_a_policy_everything_is_refused_and_it_is_not_ready() -> None:
    empty = Exchange()
    assert not empty.ready
    assert read(empty.answer(body_message(chat())).message).immediate_response.status.code == 503
    assert exchange().ready


def test_a_fault_is_refused_and_logged_once_without_a_word_of_the_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Exchange()
    failing.use(Failing(), POLICY_SHA256)  # type: ignore[arg-type]
    for _ in range(3):
        answer = failing.answer(body_message(chat(content=SECRET))).message
        assert read(answer).immediate_response.status.code == 503
        assert metadata(answer)["error"] == "internal_error"
        assert SECRET.encode() not in answer
    output = capsys.readouterr().err
    assert SECRET not in output
    (line,) = output.splitlines()
    entry = json.loads(line)
    assert entry["exception"] == "RuntimeError"
    assert entry["frames"][-1].endswith(" decide")


def test_a_fault_is_logged_again_under_another_policy(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Exchange()
    for _ in range(2):
        failing.use(Failing(), POLICY_SHA256)  # type: ignore[arg-type]
        failing.answer(body_message(chat()))
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_headers_then_body_are_answered_with_headers_and_the_finished_body() -> None:
    serving = exchange()
    first = serving.answer(headers_message(headers={"x-data-class": "restricted"}))
    assert read(first.message).WhichOneof("response") == "request_headers"
    assert not read(first.message).HasField("dynamic_metadata")
    assert first.conversation is not None

    second = serving.answer(body_message(chat(), attributes=False), first.conversation)
    assert second.conversation is None
    headers = request_headers_set(second.message)
    assert (headers["x-signalbox-cluster"], headers["x-signalbox-privacy"]) == ("house", "local")
    body = read(second.message).request_body.response.body_mutation.body
    assert json.loads(body) == json.loads(chat()) | {"model": "small-8b"}
    assert headers["content-length"] == str(len(body))


def test_a_refusal_after_the_headers_ends_the_rpc() -> None:
    serving = exchange()
    first = serving.answer(headers_message())
    second = serving.answer(body_message(b"[]", attributes=False), first.conversation)
    assert second.conversation is None
    assert read(second.message).immediate_response.status.code == 400


def test_an_rpc_keeps_the_policy_of_its_first_message() -> None:
    serving = exchange()
    first = serving.answer(headers_message())
    other = POLICY.model_dump() | {"routers": {"main": {"models": ["small"]}}}
    serving.use(Pipeline.compile(Policy.model_validate(other)), "f" * 64)
    second = serving.answer(body_message(chat(), attributes=False), first.conversation)
    assert record(second.message).policy == POLICY_SHA256[:12]
    assert request_headers_set(second.message)["x-signalbox-cluster"] == "cloud"
    assert record(serving.answer(body_message(chat())).message).policy == "f" * 12
