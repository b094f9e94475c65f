"""Decision or refusal in, bytes of Envoy's ProcessingResponse out.

Owns the names in the dynamic metadata namespace `signalbox` (docs/architecture.md has the table) and the
`x-signalbox-*` request headers of cluster_header mode. Nothing else writes either.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from signalbox import core
from signalbox.engines.heads import engine_of
from signalbox.errors import RequestError
from signalbox.extproc.wire import (
    field,
    heading,
    integer_field,
    list_value,
    member,
    number_member,
    string_value,
    struct_value,
    text_value,
)
from signalbox.features.journal import journal_features
from signalbox.record import Asked, Record, Target, encode
from signalbox.types import Answer, Candidate, Case, Decision, Edit, EngineOutcome, Features, Judgement, TokenCount

NAMESPACE = "signalbox"
WHOLE, STREAM = "whole", "stream"  # how an engine's own answer is sent
MAX_SENTENCE_BYTES = 512

# Field numbers of envoy.service.ext_proc.v3.
_RESPONSE_REQUEST_HEADERS, _RESPONSE_REQUEST_BODY, _RESPONSE_IMMEDIATE, _RESPONSE_METADATA = 1, 3, 7, 8
_COMMON_HEADER_MUTATION, _COMMON_BODY_MUTATION, _COMMON_CLEAR_ROUTE_CACHE = 2, 3, 5
_OVERWRITE_IF_EXISTS_OR_ADD = 2

_CLEAR_ROUTE_CACHE = integer_field(_COMMON_CLEAR_ROUTE_CACHE, 1)

HEADERS_CONTINUE = field(_RESPONSE_REQUEST_HEADERS, field(1, b""))
"""Answer to a headers message: go on, the body decides."""

_NO_ANSWERS: Mapping[str, Answer] = {}

# Envoy ignores clear_route_cache in a body reply unless a header mutation is present; an empty one will do.
_BODY_UNCHANGED = field(_RESPONSE_REQUEST_BODY, field(1, field(_COMMON_HEADER_MUTATION, b"") + _CLEAR_ROUTE_CACHE))


def decided(
    decision: Decision, case: Case, edits: Iterable[Edit], *, policy: str, decide_us: int, journal: bool = False
) -> bytes:
    """Return the reply of the single-message mode: metadata alone, the body stays with Envoy.

    edits: what each attempt does to the body. policy: first 12 digits of the policy's hash. decide_us: the
    worker's own time so far, in microseconds. journal: the features go with it.
    """
    return _BODY_UNCHANGED + _decision_metadata(decision, decision.chain, case, edits, policy, decide_us, journal)


def decided_by_headers(
    decision: Decision, case: Case, edits: Sequence[Edit], *, policy: str, decide_us: int, journal: bool = False
) -> bytes:
    """Return the reply of cluster_header mode: routing headers, the finished body, and the metadata.

    edits: made here, so the metadata names none. It names the first candidate only, because this mode has one
    attempt. The body is written once, into its place in the reply.
    """
    first = decision.chain[0]
    body, model = case.request.body, model_text(first)
    body_size = len(body) + sum(len(model if edit.text is None else edit.text.encode()) - edit.length for edit in edits)
    headers = _routing_headers(
        first.provider, first.model, decision.route, decision.reason.value, decision.privacy.value
    )
    headers += _set_header("x-signalbox-decision", decision.id)
    # Envoy answers 500 when a body that came with its headers changes and this does not.
    headers += _set_header("content-length", str(body_size))
    before = heading(1, body_size)
    before = heading(_COMMON_BODY_MUTATION, len(before) + body_size) + before
    before = field(_COMMON_HEADER_MUTATION, headers) + before
    before = heading(1, len(before) + body_size + len(_CLEAR_ROUTE_CACHE)) + before
    before = heading(_RESPONSE_REQUEST_BODY, len(before) + body_size + len(_CLEAR_ROUTE_CACHE)) + before
    metadata = _decision_metadata(decision, decision.chain[:1], case, (), policy, decide_us, journal)
    return core.apply_edits(body, edits, model, before=before, after=_CLEAR_ROUTE_CACHE + metadata)


def model_text(candidate: Candidate) -> bytes:
    """Return what stands for the model in a body: the provider's name for it, as JSON text with quotes."""
    return json.dumps(candidate.upstream_model).encode()


def refused(
    problem: RequestError,
    *,
    decision_id: str,
    endpoint: str,
    policy: str,
    answers: Mapping[str, Answer] = _NO_ANSWERS,
) -> bytes:
    """Return an immediate response: status, one plain sentence, and what the access log wants to know.

    The body is plain text on purpose: Envoy's local_reply_config gives it OpenAI's error shape, and would
    wrap JSON a second time. endpoint: its name, or empty where the path named none. answers: of engines, by name.
    """
    asked = _asked(answers)
    record = Record(id=decision_id, error=problem.code, endpoint=endpoint, policy=policy, asked=asked)
    immediate = field(1, integer_field(1, problem.status))
    if problem.retry_after_seconds is not None:
        immediate += field(2, _set_header("retry-after", str(problem.retry_after_seconds)))
    immediate += field(3, one_line(str(problem))) + field(5, f"signalbox_{problem.code}".encode())
    return field(_RESPONSE_IMMEDIATE, immediate) + _metadata(
        member("id", string_value(decision_id))
        + member("error", string_value(problem.code))
        + member(
            "record",
            text_value(encode(record)),
        )
    )


def answered(
    decision: Decision, case: Case, body: bytes, *, policy: str, decide_us: int, journal: bool = False
) -> bytes:
    """Return an immediate response with an engine's own answer, and metadata without a chain: nobody is asked.

    Its content type is Envoy's to set, by `answered`: this namespace is all a worker can write. The other arguments
    are as for `decided`.
    """
    record = record_of(decision, decision.chain, case, policy, decide_us, journal)
    immediate = field(1, integer_field(1, 200)) + field(3, body) + field(5, b"signalbox_answered")
    return field(_RESPONSE_IMMEDIATE, immediate) + _metadata(
        member("id", string_value(decision.id))
        + member("answered", string_value(STREAM if case.request.scan.stream else WHOLE))
        + member("route", string_value(decision.route))
        + member("reason", string_value(decision.reason.value))
        + member("model", string_value(record.engine))
        + member("record", text_value(encode(record)))
    )


_NOT_ON_ONE_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(sentence: str) -> bytes:
    """Return the sentence as valid UTF-8 on one line, at most MAX_SENTENCE_BYTES long.

    It goes into JSON and perhaps a terminal: control characters become a space, lone surrogates `?`.
    """
    encoded = _NOT_ON_ONE_LINE.sub(" ", sentence).strip().encode("utf-8", "replace")
    if len(encoded) <= MAX_SENTENCE_BYTES:
        return encoded
    mark = "…".encode()
    # `ignore` drops the character the cut went through.
    return encoded[: MAX_SENTENCE_BYTES - len(mark)].decode("utf-8", "ignore").encode() + mark


def _metadata(members: bytes) -> bytes:
    return field(_RESPONSE_METADATA, member(NAMESPACE, struct_value(members)))


def _decision_metadata(
    decision: Decision,
    chain: Sequence[Candidate],
    case: Case,
    edits: Iterable[Edit],
    policy: str,
    decide_us: int,
    journal: bool,
) -> bytes:
    endpoint = case.request.endpoint.value
    return _metadata(
        _chain_members(tuple([(entry.provider, entry.model, entry.upstream_model) for entry in chain]))
        + _label_members(endpoint, decision.route, decision.reason.value, decision.privacy.value)
        + member("edits", _edit_list(edits))
        + member("id", string_value(decision.id))
        + member("record", text_value(encode(record_of(decision, chain, case, policy, decide_us, journal))))
    )


def record_of(
    decision: Decision, chain: Sequence[Candidate], case: Case, policy: str, decide_us: int, journal: bool = False
) -> Record:
    """Return what the collector is told about a decision. chain: the candidates Envoy is told of.

    journal: somebody keeps the features; they are a third of what is told, so they go only then.
    """
    features, complexity, judged = case.features, case.features.complexity, decision.judged or _NOT_JUDGED
    return Record(
        id=decision.id,
        endpoint=case.request.endpoint.value,
        policy=policy,
        router=decision.router,
        route=decision.route,
        reason=decision.reason.value,
        rule=decision.rule,
        privacy=decision.privacy.value,
        stream=case.request.scan.stream,
        chain=tuple([Target(entry.provider, entry.model) for entry in chain]),
        tokens=tuple([_signed(decision.counts.get(entry.model), features) for entry in chain]),
        estimate=features.prompt_tokens,
        # could not be computed, and JSON has no NaN
        complexity=None if math.isnan(complexity) else complexity,
        decide_us=decide_us,
        expected_usd=decision.expected_usd,
        expected_output=decision.expected_output,
        pin=decision.pin.value if decision.pin is not None else "",
        session=case.signals.session_key,
        store=case.signals.store,
        holds=tuple([(hold.budget, hold.amount) for hold in decision.holds]),
        spent=decision.spent,
        rollout=decision.rollout,
        shadow=decision.shadow,
        explored=decision.explored,
        engine=judged.engine,
        engine_outcome=judged.outcome.value if judged.engine else "",
        engine_detail=judged.detail,
        engine_us=judged.microseconds,
        score=judged.score,
        threshold=_finite(judged.threshold),
        world=case.signals.world.generation,
        features=journal_features(features) if journal else (),
        goal=decision.goal,
        asked=_asked(case.signals.answers, judged.engine),
        spent_on_answer=() if decision.completion is None else decision.completion.spent,
        local_by=decision.local_by.value,
        personal=tuple([kind.value for kind in decision.personal]) if decision.personal else (),
        image_asked=decision.image_asked.value,
        image_served=decision.image_served,
        first_score=judged.first_score,
        cut=judged.cut,
    )


def _asked(answers: Mapping[str, Answer], but: str = "") -> tuple[Asked, ...]:
    return tuple(
        [
            Asked(engine, answer.outcome.value, answer.detail, answer.microseconds)
            for key, answer in answers.items()
            if (engine := engine_of(key)) != but
        ]
    )


_NOT_JUDGED = Judgement("", EngineOutcome.RESULT)


def _finite(threshold: float | None) -> float | None:
    # A target share of 0 is a threshold above every score, and JSON has no infinity.
    return threshold if threshold is None or threshold <= 1.0 else None


def _signed(count: TokenCount | None, features: Features) -> int:
    """Tokens of the prompt; negative where it is an estimate."""
    if count is None:
        return -features.prompt_tokens
    return -count.tokens if count.estimated else count.tokens


# Both caches below are keyed by names a policy chose, so they stay small; the bound is for a process that
# sees many policies. The keys are strings, never objects: equal names encode to equal bytes.


@lru_cache(maxsize=4096)
def _chain_members(chain: tuple[tuple[str, str, str], ...]) -> bytes:
    """Encode `priority_groups`, `candidates` and `tries` of (provider, model, upstream model) entries."""
    groups = [struct_value(member("name", string_value(provider))) for provider, _, _ in chain]
    candidates = [
        struct_value(
            member("provider", string_value(provider))
            + member("name", string_value(model))
            # JSON text, quotes included: the script that splices it in need not know what JSON is.
            + member("model", string_value(json.dumps(upstream_model)))
        )
        for provider, model, upstream_model in chain
    ]
    return (
        member("priority_groups", list_value(groups))
        + member("candidates", list_value(candidates))
        + number_member("tries", len(chain))
    )


@lru_cache(maxsize=4096)
def _label_members(endpoint: str, route: str, reason: str, privacy: str) -> bytes:
    return (
        member("endpoint", string_value(endpoint))
        + member("route", string_value(route))
        + member("reason", string_value(reason))
        + member("privacy", string_value(privacy))
    )


def _edit_list(edits: Iterable[Edit]) -> bytes:
    values = []
    for edit in edits:
        members = number_member("at", edit.at) + number_member("len", edit.length)
        if edit.text is not None:
            members += member("text", string_value(edit.text))
        values.append(struct_value(members))
    return list_value(values)


@lru_cache(maxsize=4096)
def _routing_headers(cluster: str, model: str, route: str, reason: str, privacy: str) -> bytes:
    return (
        _set_header("x-signalbox-cluster", cluster)
        + _set_header("x-signalbox-model", model)
        + _set_header("x-signalbox-route", route)
        + _set_header("x-signalbox-reason", reason)
        + _set_header("x-signalbox-privacy", privacy)
    )


def _set_header(name: str, value: str) -> bytes:
    """Encode one entry of HeaderMutation.set_headers. Envoy reads `raw_value`; `value` is the older field."""
    header = field(1, name.encode()) + field(3, value.encode())
    return field(1, field(1, header) + integer_field(3, _OVERWRITE_IF_EXISTS_OR_ADD))
