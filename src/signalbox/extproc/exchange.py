"""One exchange: Envoy's message in, the answer out, never an exception and never silence.

Silence would be the worst answer of all: when a worker ends the RPC without one, Envoy sends the request on
without a decision. So whatever happens here ends in a decision or a refusal.

Two conversations are served, and Envoy's first message says which:

    body                      -> decision as metadata; RPC over              (mode priority_group)
    headers, then body        -> continue, then decision as headers and body (mode cluster_header)

A policy is taken once, at the first message, and kept until the RPC is over.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from random import random
from typing import TYPE_CHECKING, NamedTuple

from signalbox.errors import RequestError
from signalbox.extproc import mutate
from signalbox.extproc.edge import Edge
from signalbox.extproc.faults import FaultLog
from signalbox.extproc.parse import EnvoyMessage, Facts, Phase, find_endpoint, parse_request, read_message
from signalbox.features.extract import extract
from signalbox.types import Case, Decision, Edit, Endpoint, Refusal, Signals

if TYPE_CHECKING:
    from signalbox.decide.pipeline import Pipeline

# The others stream their usage unasked, and may refuse a `stream_options` that carries include_usage.
REPORTS_USAGE_WHEN_ASKED = frozenset({Endpoint.CHAT_COMPLETIONS, Endpoint.COMPLETIONS})
AFFINITY_HEADER = "x-model-affinity"
POLICY_DIGITS = 12  # of the policy's SHA-256, as shown in metadata, headers and logs


@dataclass(frozen=True, slots=True)
class Serving:
    """A policy in use: what decides, and what has to be known about it to answer."""

    pipeline: Pipeline
    policy: str  # first POLICY_DIGITS of its hash
    stream_usage: bool  # ask providers for token usage in streams
    edge: Edge
    journal: bool = False  # tell the collector the features too


@dataclass(frozen=True, slots=True)
class Conversation:
    """An RPC whose next message is still to come: what its first one settled."""

    serving: Serving
    facts: Facts | None


class Reply(NamedTuple):
    """Bytes of a ProcessingResponse. `conversation` goes with the RPC's next message; None ends the RPC."""

    message: bytes
    conversation: Conversation | None = None


class Exchange:
    """Answers Envoy's messages with the policy in use. One per worker; `use` may be called from any thread."""

    def __init__(self) -> None:
        self._serving: Serving | None = None
        self._faults = FaultLog()

    @property
    def ready(self) -> bool:
        """Whether there is a policy to decide with."""
        return self._serving is not None

    def use(
        self,
        pipeline: Pipeline,
        sha256: str,
        *,
        stream_usage: bool = False,
        edge: Edge | None = None,
        journal: bool = False,
    ) -> None:
        """Decide with another policy from the next RPC on; RPCs under way keep theirs.

        sha256: hash of the policy's bytes, hex. stream_usage: the policy's `gateway.stream_usage`.
        edge: the world and the store; without one, decisions know neither. journal: the policy has one.
        """
        self._faults.forget()
        self._serving = Serving(pipeline, sha256[:POLICY_DIGITS], stream_usage, edge or Edge(), journal)

    def answer(self, message: bytes, conversation: Conversation | None = None) -> Reply:
        """Return the reply to one message of an RPC. Never raises.

        conversation: what the reply to this RPC's previous message said; None for its first message.
        """
        started_ns = time.perf_counter_ns()
        decision_id = f"sb-{os.urandom(12).hex()}"
        serving = conversation.serving if conversation is not None else self._serving
        endpoint = ""
        try:
            if serving is None:
                raise RequestError("the gateway has no policy yet", status=503, code=Refusal.INTERNAL)
            envoy_message = read_message(message)
            facts = envoy_message.facts or (conversation.facts if conversation is not None else None)
            if envoy_message.phase is Phase.HEADERS:
                return _after_headers(envoy_message, Conversation(serving, facts))
            if facts is None or facts.path is None:
                raise ValueError("the attribute request.path is missing: check the filter's request_attributes")
            endpoint = find_endpoint(facts.path)
            request = parse_request(endpoint, envoy_message.body, facts.headers)
            signals = Signals(
                decision_id=decision_id,
                now_seconds=time.time(),
                session=facts.headers.get(AFFINITY_HEADER) or decision_id,
                dice=random(),
            )
            decision, case = serving.edge.decide(serving.pipeline, request, extract(request), signals)
            reply = _reply if conversation is None else _reply_by_headers
            return Reply(reply(serving, decision, case, started_ns))
        except RequestError as problem:
            refusal = problem
        except Exception as problem:  # noqa: BLE001  anything uncaught would be silence, which Envoy lets through
            self._faults.report(problem, decision_id)
            refusal = RequestError("the gateway could not decide", status=503, code=Refusal.INTERNAL)
        policy = serving.policy if serving is not None else ""
        return Reply(mutate.refused(refusal, decision_id=decision_id, endpoint=endpoint, policy=policy))


def _reply(serving: Serving, decision: Decision, case: Case, started_ns: int) -> bytes:
    edits = _edits(serving, case)
    decide_us = _microseconds_since(started_ns)
    return mutate.decided(decision, case, edits, policy=serving.policy, decide_us=decide_us, journal=serving.journal)


def _reply_by_headers(serving: Serving, decision: Decision, case: Case, started_ns: int) -> bytes:
    edits = _edits(serving, case)
    decide_us = _microseconds_since(started_ns)
    return mutate.decided_by_headers(
        decision, case, edits, policy=serving.policy, decide_us=decide_us, journal=serving.journal
    )


def _edits(serving: Serving, case: Case) -> tuple[Edit, ...]:
    request = case.request
    include_usage = serving.stream_usage and request.endpoint in REPORTS_USAGE_WHEN_ASKED
    return request.scan.edits(drop=serving.pipeline.drops, include_usage=include_usage)


def _microseconds_since(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000


def _after_headers(message: EnvoyMessage, conversation: Conversation) -> Reply:
    """Ask for the body, unless there is none: Envoy would then route on the headers alone."""
    if message.end_of_stream:
        raise RequestError("the request has no body; expected a JSON object", code=Refusal.INVALID_JSON)
    return Reply(mutate.HEADERS_CONTINUE, conversation)
