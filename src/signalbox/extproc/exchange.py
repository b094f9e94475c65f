"""One exchange: Envoy's message in, the answer out, never an exception and never silence.

Silence would be the worst answer of all: when a worker ends the RPC without one, Envoy sends the request on
without a decision. So whatever happens here ends in a decision or a refusal.

Two conversations are served, and Envoy's first message says which:

    body                      -> decision as metadata; RPC over              (mode priority_group)
    headers, then body        -> continue, then decision as headers and body (mode cluster_header)

In both the answer may be an immediate response instead: a refusal, or an answer that an engine made itself.

A policy is taken once, at the first message, and kept until the RPC is over.

Where a router asks an engine, the answer takes milliseconds, and nobody waits for it here: the reply is then a
`Waiting`, to be finished when the engine has answered or its time is over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import random
from typing import TYPE_CHECKING, NamedTuple

from signalbox.decide.asking import answer_at_once
from signalbox.engines.base import Question
from signalbox.errors import RequestError
from signalbox.extproc import mutate
from signalbox.extproc.completion import write_answer
from signalbox.extproc.edge import Begun, Edge
from signalbox.extproc.faults import FaultLog
from signalbox.extproc.parse import EnvoyMessage, Facts, Phase, find_endpoint, parse_request, read_message
from signalbox.extproc.shadow import After, Shadows
from signalbox.features.extract import extract
from signalbox.types import Answer, Case, Decision, Edit, Endpoint, EngineOutcome, Refusal, Signals

if TYPE_CHECKING:  # a worker without engines does not wait for what they need
    from signalbox.decide.asks import Asks
    from signalbox.decide.pipeline import Pipeline
    from signalbox.engines.desk import Done, Ticket
    from signalbox.engines.open import Engines

# The others stream their usage unasked, and may refuse a `stream_options` that carries include_usage.
REPORTS_USAGE_WHEN_ASKED = frozenset({Endpoint.CHAT_COMPLETIONS, Endpoint.COMPLETIONS})
AFFINITY_HEADER = "x-model-affinity"
POLICY_DIGITS = 12  # of the policy's SHA-256, as shown in metadata, headers and logs
NO_BODIES: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True)
class Serving:
    """A policy in use: what decides, and what has to be known about it to answer."""

    pipeline: Pipeline
    policy: str  # first POLICY_DIGITS of its hash
    stream_usage: bool  # ask providers for token usage in streams
    edge: Edge
    journal: bool = False  # tell the collector the features too
    engines: Engines | None = None  # that the policy's routers ask
    shadows: Shadows | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """An RPC whose next message is still to come: what its first one settled."""

    serving: Serving
    facts: Facts | None


class Reply(NamedTuple):
    """Bytes of a ProcessingResponse. `conversation` goes with the RPC's next message; None ends the RPC.

    waiting: there are no bytes yet; they are the message of `waiting.finish()`.
    after: to be called once they were sent.
    """

    message: bytes
    conversation: Conversation | None = None
    waiting: Waiting | None = None
    after: After | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request whose engines have not all answered yet. `finish` is for the thread that got it, once."""

    exchange: Exchange
    serving: Serving
    asks: Asks
    tickets: tuple[Ticket, ...]  # of the engines asked, in their order
    begun: Begun
    by_headers: bool
    decide_us: int  # spent before the engine was asked

    @property
    def deadlines(self) -> tuple[float, ...]:
        """`time.monotonic()` seconds at which to call `is_over`, one for each engine still thinking."""
        return tuple([ticket.deadline for ticket in self.tickets if not ticket.done])

    def is_over(self) -> bool:
        """Whether there is nothing to wait for any more: each engine has answered, or its deadline has passed."""
        now = time.monotonic()
        for ticket in self.tickets:
            if ticket.deadline <= now:
                ticket.take()
        return all(ticket.done for ticket in self.tickets)

    def when_done(self, call: Done) -> None:
        """Have `call` made when an engine has answered, once for each, on any thread; at once for those that have."""
        for ticket in self.tickets:
            ticket.when_done(call)

    def finish(self) -> Reply:
        """Return the reply, with the answers there are by now. Never raises."""
        return self.exchange.finish(self)


class Exchange:
    """Answers Envoy's messages with the policy in use. One per worker; `use` may be called from any thread."""

    def __init__(self) -> None:
        self._serving: Serving | None = None
        self._faults = FaultLog()

    @property
    def ready(self) -> bool:
        """Whether there is a policy to decide with."""
        return self._serving is not None

    @property
    def engines(self) -> Engines | None:
        """Of the policy in use, for the next one to go on with."""
        return None if self._serving is None else self._serving.engines

    @property
    def shadows(self) -> Shadows | None:
        """Of the policy in use, likewise."""
        return None if self._serving is None else self._serving.shadows

    def use(
        self,
        pipeline: Pipeline,
        sha256: str,
        *,
        stream_usage: bool = False,
        edge: Edge | None = None,
        journal: bool = False,
        engines: Engines | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        """Decide with another policy from the next RPC on; RPCs under way keep theirs.

        sha256: hash of the policy's bytes, hex. stream_usage: the policy's `gateway.stream_usage`.
        edge: the world and the store; without one, decisions know neither. journal: the policy has one.
        engines: of the policy, opened; those of the one before are closed once what they were asked is answered.
        shadows: of the policy; they ask some of those engines.
        """
        self._faults.forget()
        before = self._serving
        edge = edge or Edge()
        if engines is not None:
            engines.cuts.use(edge.store)
        self._serving = Serving(pipeline, sha256[:POLICY_DIGITS], stream_usage, edge, journal, engines, shadows)
        if before is not None and before.engines is not None and before.engines is not engines:
            before.engines.close()

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
            begun = serving.edge.begin(serving.pipeline, request, extract(request), signals)
            by_headers = conversation is not None
            if serving.engines is not None:
                case, asks = answer_at_once(
                    serving.pipeline, serving.engines, serving.pipeline.judge_privacy(begun.case)
                )
                begun = begun._replace(case=case)
                if asks is not None:
                    return self._wait(serving, serving.engines, asks, begun, started_ns, by_headers=by_headers)
            return _settled(serving, begun, started_ns, by_headers=by_headers)
        except RequestError as problem:
            refusal = problem
        except Exception as problem:  # noqa: BLE001  anything uncaught would be silence, which Envoy lets through
            refusal = self._defect(problem, decision_id)
        policy = serving.policy if serving is not None else ""
        return Reply(mutate.refused(refusal, decision_id=decision_id, endpoint=endpoint, policy=policy))

    def finish(self, waiting: Waiting) -> Reply:
        """Return the reply to a request that waited for an engine; a late one goes on without it. Never raises."""
        started_ns = time.perf_counter_ns() - waiting.decide_us * 1000
        serving, asks, begun = waiting.serving, waiting.asks, waiting.begun
        signals = begun.case.signals
        try:
            taken = [ticket.take() for ticket in waiting.tickets]
            answers = {**signals.answers, **dict(zip(asks.keys, taken, strict=True))}
            bodies = self._write_answers(answers, begun.case)
            signals = replace(signals, answers=answers)
            begun = begun._replace(case=replace(begun.case, signals=signals))
            more = serving.pipeline.asks(begun.case) if asks.held_back else None
            if more is not None and serving.engines is not None:
                return self._wait(serving, serving.engines, more, begun, started_ns, by_headers=waiting.by_headers)
            return _settled(serving, begun, started_ns, by_headers=waiting.by_headers, bodies=bodies)
        except RequestError as problem:
            refusal = problem
        except Exception as problem:  # noqa: BLE001  as above
            refusal = self._defect(problem, signals.decision_id)
        message = mutate.refused(
            refusal,
            decision_id=signals.decision_id,
            endpoint=begun.case.request.endpoint.value,
            policy=serving.policy,
            answers=signals.answers,
        )
        return Reply(message)

    def _wait(
        self, serving: Serving, engines: Engines, asks: Asks, begun: Begun, started_ns: int, *, by_headers: bool
    ) -> Reply:
        """Ask, and return what waits for the answers; the reply itself if they are there already."""
        tickets = _ask(engines, asks, begun.case)
        waiting = Waiting(self, serving, asks, tickets, begun, by_headers, _microseconds_since(started_ns))
        all_done = all(ticket.done for ticket in tickets)
        return waiting.finish() if all_done else Reply(b"", None, waiting)

    def _write_answers(self, answers: dict[str, Answer], case: Case) -> dict[str, bytes]:
        """Return what a client would be sent of each engine's own answer. One that cannot be written is taken out.

        Before the decision, so that a request whose answer fails is decided as if there had been none.
        """
        bodies = {}
        for engine, answer in answers.items():
            if answer.completion is None:
                continue
            id, now_seconds = case.signals.decision_id, case.signals.now_seconds
            try:
                bodies[engine] = write_answer(
                    answer.completion, case.request, id=id, model=engine, created=int(now_seconds)
                )
            except Exception as problem:  # noqa: BLE001  costs the answer, not the request
                self._faults.report(problem, id)
                outcome = EngineOutcome.RESULT if answer.route is not None else EngineOutcome.UNSURE
                answers[engine] = answer._replace(outcome=outcome, completion=None, detail="unwritable")
        return bodies

    def _defect(self, problem: Exception, decision_id: str) -> RequestError:
        self._faults.report(problem, decision_id)
        return RequestError("the gateway could not decide", status=503, code=Refusal.INTERNAL)


def _ask(engines: Engines, asks: Asks, case: Case) -> tuple[Ticket, ...]:
    now = time.monotonic()
    return tuple(
        [
            engines.ask(name, Question(case.request, case.features, routes, now + engines.deadline_seconds(name)))
            for name, routes in asks.questions
        ]
    )


def _settled(
    serving: Serving, begun: Begun, started_ns: int, *, by_headers: bool, bodies: Mapping[str, bytes] = NO_BODIES
) -> Reply:
    """Decide, and return the reply. bodies: of engines' own answers, by engine."""
    decision, case = serving.edge.settle(serving.pipeline, begun)
    judged = decision.judged
    if serving.engines is not None and judged is not None and judged.learns is not None:
        router = decision.goal or decision.router
        serving.engines.cuts.saw(router, judged.learns, decision.expected_usd, at=judged.threshold)
    if decision.completion is not None and judged is not None:
        return _answered(serving, decision, case, bodies[judged.engine], started_ns)
    message = _reply(serving, decision, case, started_ns, by_headers=by_headers)
    return Reply(message, after=None if serving.shadows is None else serving.shadows.after(decision, case))


def _answered(serving: Serving, decision: Decision, case: Case, body: bytes, started_ns: int) -> Reply:
    decide_us = _microseconds_since(started_ns)
    return Reply(
        mutate.answered(decision, case, body, policy=serving.policy, decide_us=decide_us, journal=serving.journal)
    )


def _reply(serving: Serving, decision: Decision, case: Case, started_ns: int, *, by_headers: bool) -> bytes:
    edits = _edits(serving, case)
    decide_us = _microseconds_since(started_ns)
    write = mutate.decided_by_headers if by_headers else mutate.decided
    return write(decision, case, edits, policy=serving.policy, decide_us=decide_us, journal=serving.journal)


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
